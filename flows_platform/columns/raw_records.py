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


def json_text(value: object) -> str:
    """A value as JSON in ASCII. What JSON has no form for becomes an object that names its type.

    The standard library's encoder does it, a tenth of the work, where there are no decimals: it would round those.
    """
    try:
        return _plain(value)
    except (_Digits, TypeError):  # a decimal, or a key that is no text
        return _with_digits(value)


class _Digits(Exception):
    """A decimal is there."""


def _odd(value: object) -> object:
    """What the standard library's encoder is to write in place of a value that it has no form for."""
    match value:
        case Mapping():
            return {str(key): each for key, each in value.items()}
        case Decimal() if value.is_finite():
            raise _Digits
        case datetime():
            return value.isoformat()
    return {type(value).__name__: repr(value)}  # as no column takes it, no column must take it read back


_plain = json.JSONEncoder(check_circular=False, separators=(",", ":"), default=_odd).encode


def _with_digits(value: object) -> str:
    match value:
        case dict():
            return "{" + ",".join([f"{quote(str(key))}:{_with_digits(each)}" for key, each in value.items()]) + "}"
        case list() | tuple():
            return "[" + ",".join(map(_with_digits, value)) + "]"
        case str():
            return quote(value)
        case Decimal() if value.is_finite():
            return str(value)
        case None | bool() | int() | float():
            return _plain(value)
    return _with_digits(_odd(value))
