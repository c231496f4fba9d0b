"""A record as one line of JSON and back, nothing lost: numbers keep their digits, half surrogates are escaped."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from json.encoder import encode_basestring_ascii as quote

from flows_platform.domain.errors import SourceRefused

MAX_DEPTH = 128  # levels; quarantine and casting recurse


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that the format frames but that cannot be read: it goes to the quarantine as it is."""

    reason: str
    raw: bytes


type Records = list[Mapping[str, object] | Unreadable]


def raw_record(record: Mapping[str, object]) -> bytes:
    """A record as JSON; `read_record` gives back a record that is cast the same."""
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


def read_record(line: bytes) -> dict[str, object] | Unreadable:
    """The JSON object on a line; numbers with a point or an exponent as decimals."""
    try:
        if line.count(b"{") + line.count(b"[") > MAX_DEPTH:
            _guard(line)
        record = json.loads(line, parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=_distinct)
    except (ValueError, SourceRefused) as error:
        return Unreadable(f"not a JSON object: {error}", line)
    return record if isinstance(record, dict) else Unreadable("not a JSON object", line)


def _guard(line: bytes) -> None:
    # Imported here: numpy takes a tenth of a second that loading the definitions must not.
    from flows_platform.wire.decode.json_guard import JsonGuard  # noqa: PLC0415

    JsonGuard().admit(line)


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON value")


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise ValueError("a key repeats")
    return record
