"""A record as one line of JSON, nothing lost: numbers keep their digits, half surrogates are escaped."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from json.encoder import encode_basestring_ascii as quote


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that the format frames but that cannot be read: it goes to the quarantine as it is."""

    reason: str
    raw: bytes


type Records = list[Mapping[str, object] | Unreadable]


def raw_record(record: Mapping[str, object]) -> bytes:
    """A record as JSON; `record_line.read_record` gives back a record that is cast the same."""
    return json_text(record).encode()


def json_text(value: object) -> str:  # noqa: PLR0911 - one return a type
    """A value as JSON in ASCII. What JSON has no form for becomes an object that names its type."""
    match value:
        case Mapping():
            return "{" + ",".join(f"{quote(str(key))}:{json_text(each)}" for key, each in value.items()) + "}"
        case list() | tuple():
            return "[" + ",".join(map(json_text, value)) + "]"
        case str():
            return quote(value)
        case Decimal() if value.is_finite():
            return str(value)
        case datetime():
            return quote(value.isoformat())
        case None | bool() | int() | float():
            return json.dumps(value)
    return json_text({type(value).__name__: repr(value)})  # as no column takes it, no column must take it read back
