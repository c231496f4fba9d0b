"""Messages for mistakes in a YAML file: `FILE:LINE: KEY is VALUE: what is allowed`, one line for each mistake."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, get_args

from dagster_shared.yaml_utils.source_position import ValueAndSourcePositionTree
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from flows_platform.components.yaml_text import SENT
from flows_platform.declared import HTTP_URL, NAME, Declared, KeyPath, did_you_mean
from flows_platform.domain.redaction import SECRET_NAME, public_url
from flows_platform.reports.declaration import PATH
from flows_platform.webhooks.declaration import FOLDER, URL_PATH
from flows_platform.webhooks.signatures import HEADER_NAME

SHOWN = 80  # characters of a value
# What a pattern of the keys allows, in words.
PATTERNS = {
    NAME: "a name has letters, digits and _, and begins with a letter or _",
    HTTP_URL: "an http(s) URL without user and password is needed",
    URL_PATH: "a path is needed, such as /api/v1/hooks/NAME",
    FOLDER: "a folder is needed, such as alerts_of_vendor",
    HEADER_NAME: "the name of a header is needed",
    PATH: "a path is needed, such as /connector/clerk/{clerk}",
}
TYPES = {
    "list_type": "a list is needed: [a, b], or a line `- a` for each",
    "dict_type": "an object is needed: {name: value}",
    "bool_parsing": "true or false is needed",
    "bool_type": "true or false is needed",
    "int_parsing": "a whole number is needed",
    "int_type": "a whole number is needed",
    "float_parsing": "a number is needed",
    "float_type": "a number is needed",
    "datetime_parsing": "a time is needed, such as 2024-03-01T00:00:00",
    "datetime_from_date_parsing": "a time is needed, such as 2024-03-01T00:00:00",
}
_CHOICE = re.compile(r"'([^']*)'")


class _Object(NamedTuple):
    """An object of the YAML, with the model that it should fit."""

    model: type[Declared]
    value: Any


def message(error: ValidationError, tree: ValueAndSourcePositionTree, model: type[Declared]) -> str:
    """All mistakes, with the lines of their keys; `model` is that of the `attributes`."""
    attributes = tree.value["attributes"]
    lines: dict[KeyPath, str] = {}
    for fault in _all(error):
        at = _key_path(fault, attributes)
        where, _ = tree.source_position_tree.lookup_closest_and_path(["attributes", *at], trace=None)
        shown = _shown(fault, at)
        key = ".".join(map(str, at)) or "attributes"
        reason = _reason(fault, at, _Object(model, attributes)).rstrip(".")
        stop = "" if reason.endswith("?") else "."
        # Only the first fault of a key counts: the others come from less likely branches of a union.
        lines.setdefault(at, f"{where.filename}:{where.start.line}: {key}{shown}: {reason}{stop}")
    return "\n".join(lines.values())


def _all(error: ValidationError) -> Iterator[ErrorDetails]:
    """The faults, also those that were raised as one."""
    for fault in error.errors():
        yield fault
        for at, why in fault.get("ctx", {}).get("more", ()):
            yield {**fault, "ctx": {"at": at}, "msg": why}


def _key_path(fault: ErrorDetails, attributes: object) -> KeyPath:
    """The keys that lead to the fault, without what pydantic adds for unions."""
    keys: list[str | int] = []
    value: Any = attributes
    tagged: Any = None  # the object whose kind pydantic has named: the kind may also be the name of a key
    for key in (*fault["loc"], *fault.get("ctx", {}).get("at", ())):
        if isinstance(value, dict) and value is not tagged and key in fault["loc"] and key == value.get("kind"):
            tagged = value
            continue
        known = key in value if isinstance(value, dict) else isinstance(value, list) and isinstance(key, int)
        if known:
            value = value[key]
            keys.append(key)
    if fault["type"] == "missing":
        keys.append(fault["loc"][-1])
    return tuple(keys)


def _shown(fault: ErrorDetails, at: KeyPath) -> str:
    """The value for the message; empty for an object or a list, and for a value that may be a secret."""
    # guard: a secret in a YAML is not shown
    if fault["type"] == "missing" or _may_be_secret(at) or isinstance(fault["input"], Mapping | list | BaseModel):
        return ""
    value = str(fault["input"])
    return f" is {(public_url(value) if '://' in value else value)[:SHOWN]!r}"


def _may_be_secret(at: KeyPath) -> bool:
    names = [name for name in at if isinstance(name, str)]
    return (
        not SENT.isdisjoint(names) or "tls" in names or any(SECRET_NAME.search(name) for name in names if name != "key")
    )


def _reason(fault: ErrorDetails, at: KeyPath, attributes: _Object) -> str:
    kind, said = fault["type"], fault["msg"]
    if of_model := OF_MODELS.get(kind):
        return of_model(at, attributes)
    if kind in {"literal_error", "enum"}:
        return said + did_you_mean(str(fault["input"]), _CHOICE.findall(said))
    if kind == "union_tag_invalid":
        tag, expected = fault["ctx"]["tag"], fault["ctx"]["expected_tags"]
        return f"kind is {tag!r}; allowed are {expected}{did_you_mean(tag, _CHOICE.findall(expected))}"
    if kind == "string_type":
        return f"a text is needed{_as_yaml_reads(fault['input'])}"
    if kind == "string_pattern_mismatch":
        return PATTERNS.get(fault["ctx"]["pattern"], said)
    return TYPES.get(kind, said)


def _unknown_key(at: KeyPath, attributes: _Object) -> str:
    allowed = _keys(_model_at(at[:-1], attributes))
    meant = did_you_mean(str(at[-1]), allowed) or "."
    return f"there is no such key{meant} Allowed are {', '.join(allowed)}"


def _missing(at: KeyPath, attributes: _Object) -> str:
    field = _keys(_model_at(at[:-1], attributes)).get(str(at[-1]))
    return f"this key is missing: {(field and field.description) or 'it is needed'}"


def _without_kind(at: KeyPath, attributes: _Object) -> str:
    field = _keys(_model_at(at[:-1], attributes))[str(at[-1])]
    kinds = [model.model_fields.get("kind") for model in _types_in(field.annotation) if issubclass(model, Declared)]
    names = [name for kind in kinds if kind for name in get_args(kind.annotation)]
    return f"an object with a `kind` is needed; allowed are {', '.join(names)}"


def _not_an_object(at: KeyPath, attributes: _Object) -> str:
    return f"an object is needed; its keys are {', '.join(_keys(_model_at(at, attributes)))}"


# Faults whose message depends on the keys around them.
OF_MODELS: dict[str, Callable[[KeyPath, _Object], str]] = {
    "extra_forbidden": _unknown_key,
    "missing": _missing,
    "union_tag_not_found": _without_kind,
    "model_type": _not_an_object,
    "model_attributes_type": _not_an_object,
}


def _as_yaml_reads(value: object) -> str:
    """The remedy where a text without quotes was read as something else."""
    if value is None:
        return ", and there is nothing"
    if isinstance(value, bool | int | float):
        return ": write it in quotes, since YAML reads it as a truth value or a number"
    return ": a text in braces or brackets needs quotes"


def _model_at(at: KeyPath, attributes: _Object) -> type[Declared]:
    """The model of the object at the path."""
    model, value = attributes
    for key in at:
        value = value[key]
        field = _keys(model).get(str(key))
        if field and isinstance(key, str):  # an index, or a name of the author's own, leads to no other model
            models = [kind for kind in _types_in(field.annotation) if issubclass(kind, Declared)]
            model = next((found for found in models if _is_kind(found, value)), model)
    return model


def _keys(model: type[Declared]) -> dict[str, FieldInfo]:
    """The keys of an object in the YAML."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _types_in(annotation: object) -> Iterator[type]:
    if isinstance(annotation, type):
        yield annotation
    for inner in get_args(annotation):
        yield from _types_in(inner)


def _is_kind(model: type[Declared], value: object) -> bool:
    """Whether the value is of this kind; a model without kinds fits every value."""
    kind = model.model_fields.get("kind")
    return kind is None or (isinstance(value, dict) and value.get("kind") in get_args(kind.annotation))
