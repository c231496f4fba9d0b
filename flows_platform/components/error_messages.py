"""Messages for mistakes in a YAML file: `FILE:LINE: KEY is VALUE: what is allowed`, one line for each mistake."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, get_args

from dagster_shared.yaml_utils.source_position import ValueAndSourcePositionTree
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from flows_platform.components.validation import TableDeclaration
from flows_platform.declared import Declared, KeyPath

SHOWN = 80  # characters of a value


def message(error: ValidationError, tree: ValueAndSourcePositionTree) -> str:
    """All mistakes, with the lines of their keys."""
    attributes = tree.value["attributes"]
    lines: dict[KeyPath, str] = {}
    for fault in error.errors():
        at = _key_path(fault, attributes)
        where, _ = tree.source_position_tree.lookup_closest_and_path(["attributes", *at], trace=None)
        shown = _shown(fault, at)
        key = ".".join(map(str, at)) or "attributes"
        reason = _reason(fault, at, attributes).rstrip(".")
        # Only the first fault of a key counts: the others come from less likely branches of a union.
        lines.setdefault(at, f"{where.filename}:{where.start.line}: {key}{shown}: {reason}.")
    return "\n".join(lines.values())


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
    if (
        fault["type"] == "missing"
        or "auth" in at
        or "tls" in at
        or isinstance(fault["input"], Mapping | list | BaseModel)
    ):
        return ""
    return f" is {str(fault['input'])[:SHOWN]!r}"


def _reason(fault: ErrorDetails, at: KeyPath, attributes: object) -> str:
    if fault["type"] == "extra_forbidden":
        allowed = [field.alias or name for name, field in _model_at(at[:-1], attributes).model_fields.items()]
        near = get_close_matches(str(at[-1]), allowed, 1)
        meant = f"; did you mean {near[0]}?" if near else ""
        return f"there is no such key{meant or '.'} Allowed are {', '.join(allowed)}"
    if fault["type"] == "union_tag_invalid":
        return f"kind is {fault['ctx']['tag']!r}; allowed are {fault['ctx']['expected_tags']}"
    return fault["msg"]


def _model_at(at: KeyPath, attributes: object) -> type[Declared]:
    """The model of the object at the path."""
    model: type[Declared] = TableDeclaration
    value: Any = attributes
    for key in at:
        value = value[key]
        if isinstance(key, str):
            field = model.model_fields[key]
            models = [kind for kind in _types_in(field.annotation) if issubclass(kind, Declared)]
            model = next((found for found in models if _is_kind(found, value)), model)
    return model


def _types_in(annotation: object) -> Iterator[type]:
    if isinstance(annotation, type):
        yield annotation
    for inner in get_args(annotation):
        yield from _types_in(inner)


def _is_kind(model: type[Declared], value: object) -> bool:
    """Whether the value is of this kind; a model without kinds fits every value."""
    kind = model.model_fields.get("kind")
    return kind is None or (isinstance(value, dict) and value.get("kind") in get_args(kind.annotation))
