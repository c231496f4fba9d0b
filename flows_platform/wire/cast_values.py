"""The reference: one value, one column. What does not fit without loss is a misfit, never NULL, never another value."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

from flows_platform.domain.schema import INT64_MAX, INT64_MIN, Column, ColumnType

INTEGER = re.compile(r"-?[0-9]+", re.ASCII)
BEYOND_MICROSECONDS = re.compile(r"[.,][0-9]{6}[0-9]*[1-9]", re.ASCII)  # Python would drop those digits
MAX_DIGITS = 64  # beyond this no int() is tried: 19 digits fit, leading zeros are forgiven, 4,301 crash parsers
FIRST_INSTANT, LAST_INSTANT = -62_135_596_800_000_000, 253_402_300_799_999_999  # microseconds since 1970
SHOWN = 80  # characters of a value in a message


class Misfit(ValueError):
    """A value that a column cannot hold without loss; the message says why."""


def shown(value: object) -> str:
    """A value for a message, shortened."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text)} characters)"


def _integer(value: object) -> int:
    match value:
        case bool():
            pass
        case int():
            return _in_range(value)
        case Decimal() | float() if _is_whole(value):
            return _in_range(int(value))
        case str() if len(value) <= MAX_DIGITS and INTEGER.fullmatch(value):
            return _in_range(int(value))
    raise Misfit(f"{shown(value)} is not an integer")


def _is_whole(number: Decimal | float) -> bool:
    """5.0 is 5. The bound comes first, since 1e999999999 // 1 would be computed in full."""
    return INT64_MIN <= number <= INT64_MAX and number == number // 1


def _in_range(value: int) -> int:
    if INT64_MIN <= value <= INT64_MAX:
        return value
    raise Misfit(f"{shown(value)} does not fit 64 bits")


def _text(value: object) -> str:
    match value:
        case bool():
            pass
        case int():
            return str(value)
        case str():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise Misfit(f"{shown(value)} holds half of a surrogate pair") from None
            return value
    raise Misfit(f"{shown(value)} is not text")


def _timestamp(value: object) -> datetime:
    if isinstance(value, datetime) and value.tzinfo:
        return value.astimezone(UTC)
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None or BEYOND_MICROSECONDS.search(str(value)):
        raise Misfit(f"{shown(value)} is not an ISO 8601 time with its zone and at most microseconds")
    return instant.astimezone(UTC)


CASTS: dict[ColumnType, Callable[[object], object]] = {
    ColumnType.INT64: _integer,
    ColumnType.STRING: _text,
    ColumnType.TIMESTAMP: _timestamp,
}


def cast_value(column: Column, value: object) -> object:
    """`value` as the column's type holds it.

    Raises:
        Misfit: it cannot be held without loss; the message names the column and the value.
    """
    if value is None:
        if column.nullable:
            return None
        raise Misfit(f"{column.name} is null or missing")
    try:
        return CASTS[column.type](value)
    except Misfit as error:
        raise Misfit(f"{column.name}: {error}") from None
