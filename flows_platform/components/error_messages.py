"""Faults of a declaration told to who wrote it: `FILE:LINE: KEY is VALUE: what is allowed`, a line a fault."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, get_args

from dagster_shared.yaml_utils.source_position import ValueAndSourcePositionTree
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from flows_platform.components.validation import TableDeclaration
from flows_platform.declared import Declared, KeyPath

SHOWN = 80  # characters of a value


def told(error: ValidationError, tree: ValueAndSourcePositionTree) -> str:
    """All faults, each at the line of its key."""
    attributes = tree.value["attributes"]
    lines: dict[KeyPath, str] = {}
    for each in error.errors():
        place = _place(each, attributes)
        where, _ = tree.source_position_tree.lookup_closest_and_path(["attributes", *place], trace=None)
        shown = _shown(each, place)
        key = ".".join(map(str, place)) or "attributes"
        reason = _reason(each, place, attributes).rstrip(".")
        # The first of a place: the others are of a union's less likely branches.
        lines.setdefault(place, f"{where.filename}:{where.start.line}: {key}{shown}: {reason}.")
    return "\n".join(lines.values())


def _place(each: ErrorDetails, attributes: object) -> KeyPath:
    """The keys that lead to the fault, without what pydantic adds for unions."""
    place: list[str | int] = []
    value: Any = attributes
    tagged: Any = None  # the part whose form pydantic has named: the form may have a key of its own name
    for part in (*each["loc"], *each.get("ctx", {}).get("at", ())):
        if isinstance(value, dict) and value is not tagged and part in each["loc"] and part == value.get("kind"):
            tagged = value
            continue
        known = part in value if isinstance(value, dict) else isinstance(value, list) and isinstance(part, int)
        if known:
            value = value[part]
            place.append(part)
    if each["type"] == "missing":
        place.append(each["loc"][-1])
    return tuple(place)


def _shown(each: ErrorDetails, place: KeyPath) -> str:
    """The value, unless it is a whole part, or may be a secret that does not belong there."""
    # guard: a secret in a YAML is not shown
    if each["type"] == "missing" or "auth" in place or isinstance(each["input"], Mapping | list | BaseModel):
        return ""
    return f" is {str(each['input'])[:SHOWN]!r}"


def _reason(each: ErrorDetails, place: KeyPath, attributes: object) -> str:
    if each["type"] == "extra_forbidden":
        allowed = [*_part_at(place[:-1], attributes).model_fields]
        near = get_close_matches(str(place[-1]), allowed, 1)
        meant = f"; did you mean {near[0]}?" if near else ""
        return f"there is no such key{meant} Allowed are {', '.join(allowed)}"
    if each["type"] == "union_tag_invalid":
        return f"kind is {each['ctx']['tag']!r}; allowed are {each['ctx']['expected_tags']}"
    return each["msg"]


def _part_at(place: KeyPath, attributes: object) -> type[Declared]:
    """The model of the part at the place."""
    part: type[Declared] = TableDeclaration
    value: Any = attributes
    for key in place:
        value = value[key]
        if isinstance(key, str):
            field = part.model_fields[key]
            parts = [each for each in _types_in(field.annotation) if issubclass(each, Declared)]
            part = next((each for each in parts if _is_kind(each, value)), part)
    return part


def _types_in(annotation: object) -> Iterator[type]:
    if isinstance(annotation, type):
        yield annotation
    for inner in get_args(annotation):
        yield from _types_in(inner)


def _is_kind(part: type[Declared], value: object) -> bool:
    """Whether the part is the one that the value says it is."""
    kind = part.model_fields.get("kind")
    return kind is None or (isinstance(value, dict) and value.get("kind") in get_args(kind.annotation))
