"""The types of parameters: how values are read, exactly, from URLs and JSON, and how they are written again."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from math import isfinite
from typing import Any

from flows_platform.domain.decimals import DECIMALS, PLAIN, WHOLE, plain
from flows_platform.domain.schema import INT64_MAX, INT64_MIN

type Scalar = int | float | Decimal | bool | str | date | datetime
type Value = Scalar | tuple[Scalar, ...]


class ParameterType(StrEnum):
    """The type of a parameter's value."""

    INT64 = "int64"
    FLOAT64 = "float64"
    NUMERIC = "numeric"
    BOOL = "bool"
    STRING = "string"
    DATE = "date"
    TIMESTAMP = "timestamp"
    CHOICE = "choice"


# int() and float() would also take `1_000`, ` 7`, `+7`, `inf` and digits of other scripts.
# guard: numbers of a report are ASCII digits
INTEGER = re.compile("0|-?[1-9][0-9]{0,18}", re.ASCII)
FLOAT = re.compile(r"-?(?:0|[1-9][0-9]{0,307})(?:\.[0-9]{1,340})?(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
TIME = re.compile(rf"{DAY.pattern}(?:[T ][0-9]{{2}}:[0-9]{{2}}(?::[0-9]{{2}}(?:\.[0-9]{{1,6}})?)?)?", re.ASCII)
ZONE = re.compile("Z|[+-][0-9]{2}:[0-9]{2}", re.ASCII)
DATE_LENGTH = 10  # of 2024-01-31
# Control characters, and lone surrogates, which UTF-8 cannot encode.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f\x80-\x9f\ud800-\udfff]")


def _int64(text: str) -> int | None:
    number = int(text) if INTEGER.fullmatch(text) else None
    return number if number is not None and INT64_MIN <= number <= INT64_MAX else None


def _float64(text: str) -> float | None:
    number = float(text) if FLOAT.fullmatch(text) else None
    return number if number is not None and isfinite(number) else None


def _numeric(text: str) -> Decimal | None:
    return Decimal(text) if PLAIN.fullmatch(text) else None


def _bool(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text)


def _string(text: str) -> str | None:
    # guard: no control character reaches the warehouse
    return None if UNPRINTABLE.search(text) else text


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if DAY.fullmatch(text) else None
    except ValueError:
        return None


def _timestamp(text: str) -> datetime | None:
    zone = ZONE.search(text, DATE_LENGTH)
    local = text[: zone.start()] if zone else text
    if not TIME.fullmatch(local) or (zone and (zone.end() != len(text) or len(local) == DATE_LENGTH)):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class Kind:
    """How the values of a type are read and described.

    Args:
        read: The value of a text; None if the text has another form.
        allowed: What the text may be, as messages say it.
        bigquery: The type's name in BigQuery.
        schema: The type's JSON Schema.
        example: A text of this type.
    """

    read: Callable[[str], Scalar | None]
    allowed: str
    bigquery: str
    schema: Mapping[str, Any]
    example: str


KINDS: Mapping[ParameterType, Kind] = {
    ParameterType.INT64: Kind(
        _int64, "a whole number of 64 bits, in ASCII digits", "INT64", {"type": "integer", "format": "int64"}, "1"
    ),
    ParameterType.FLOAT64: Kind(
        _float64, "a finite number such as -1.5 or 2e3", "FLOAT64", {"type": "number", "format": "double"}, "0.5"
    ),
    ParameterType.NUMERIC: Kind(
        _numeric,
        f"a decimal number without an exponent, with at most {WHOLE} digits before the point and {DECIMALS} after it",
        "NUMERIC",
        {"type": "number"},
        "1.5",
    ),
    ParameterType.BOOL: Kind(_bool, "true or false", "BOOL", {"type": "boolean"}, "true"),
    ParameterType.STRING: Kind(_string, "a text without control characters", "STRING", {"type": "string"}, "a"),
    ParameterType.DATE: Kind(
        _date, "a date such as 2024-01-31", "DATE", {"type": "string", "format": "date"}, "2000-01-01"
    ),
    ParameterType.TIMESTAMP: Kind(
        _timestamp,
        "a time such as 2024-01-31T12:00:00Z, or a date; without a zone it is UTC, and + in a URL is written %2B",
        "TIMESTAMP",
        {"type": "string", "format": "date-time"},
        "2000-01-01T00:00:00Z",
    ),
    ParameterType.CHOICE: Kind(_string, "one of the choices", "STRING", {"type": "string"}, "a"),
}


def text_of_json(value: object, kind: ParameterType) -> str | None:
    """A JSON value as a URL would write it; None if its JSON type does not fit. Numbers may also be strings."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return json.dumps(value) if kind is ParameterType.BOOL else None
    numbers = {ParameterType.INT64, ParameterType.FLOAT64, ParameterType.NUMERIC}
    return str(value) if isinstance(value, int | Decimal) and kind in numbers else None


def json_text(value: Value) -> str:
    """The value as JSON: exact numbers stay numbers, times are strings in UTC."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(json_text, value))}]"
    return json.dumps(as_text(value)) if isinstance(value, str | date) else as_text(value)


def as_text(value: Scalar) -> str:
    """The value as a URL writes it. Equal values give equal texts."""
    if isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return plain(value)
    return repr(value) if isinstance(value, float) else str(value)
