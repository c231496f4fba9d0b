"""The reference: casts one value of one column. A value that does not fit without loss is a misfit.

It never becomes NULL or another value.
"""

import re
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal, Inexact
from math import isfinite

from flows_platform.columns.raw_records import json_text
from flows_platform.columns.time_forms import Unread
from flows_platform.domain.decimals import DECIMALS, WHOLE, exact
from flows_platform.domain.schema import INT64_MAX, INT64_MIN, Column, ColumnType

INTEGER = re.compile(r"-?[0-9]+", re.ASCII)
NUMBER = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,4})?", re.ASCII)
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
BEYOND_MICROSECONDS = re.compile(r"[.,][0-9]{6}[0-9]*[1-9]", re.ASCII)  # Python would drop those digits
FINER = re.compile(r"([.,][0-9]{6})[0-9]+", re.ASCII)  # a second's fraction, and its digits below a microsecond
MAX_DIGITS = 64  # no int() of a longer text: 19 digits fit, leading zeros are allowed, 4,301 digits crash parsers
MAX_NUMBER_TEXT = 1100  # the longest double in full: 767 digits after 307 zeros
FLOAT_DIGITS = 767
BOOLEANS: dict[object, bool] = {"true": True, "1": True, 1: True, "false": False, "0": False, 0: False}
FIRST_INSTANT, LAST_INSTANT = -62_135_596_800_000_000, 253_402_300_799_999_999  # microseconds since 1970
FIRST_DAY, LAST_DAY = -719_162, 2_932_896  # days since 1970
SHOWN = 80  # characters of a value in a message


class Misfit(ValueError):
    """A value that a column cannot hold without loss; the message says why."""


def shown(value: object) -> str:
    """A value as a message shows it, shortened."""
    try:
        text = str(value) if isinstance(value, Decimal) else repr(value)
    except ValueError:  # an integer too long for Python to write in decimal
        return f"a {type(value).__name__} beyond {sys.get_int_max_str_digits():,} digits"
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
    """Whether the number is an integer, as 5.0 is. Bounds come first: 1e999999999 // 1 would be computed in full."""
    return INT64_MIN <= number <= INT64_MAX and number == number // 1


def _in_range(value: int) -> int:
    if INT64_MIN <= value <= INT64_MAX:
        return value
    raise Misfit(f"{shown(value)} does not fit into 64 bits")


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
                raise Misfit(f"{shown(value)} contains half of a surrogate pair") from None
            return value
    raise Misfit(f"{shown(value)} is not text")


def _timestamp(value: object) -> datetime:
    if isinstance(value, datetime) and value.tzinfo:
        return _in_utc(value)
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None or BEYOND_MICROSECONDS.search(str(value)):
        raise Misfit(f"{shown(value)} is not an ISO 8601 time with a zone and at most microseconds")
    return _in_utc(instant)


def _in_utc(instant: datetime) -> datetime:
    try:
        return instant.astimezone(UTC)
    except OverflowError:  # 0001-01-01T00:00:00+14:00 and the like
        raise Misfit(f"{instant.isoformat()} has no time in UTC from year 1 to 9999") from None


def _float(value: object) -> float:
    match value:
        case bool():
            pass
        case int():
            return _unchanged(value)
        case float() if isfinite(value):
            return value
        case Decimal() if value.is_finite():
            return _nearest(value)
        case str() if len(value) <= MAX_NUMBER_TEXT and INTEGER.fullmatch(value):
            return _unchanged(int(value))
        case str() if len(value) <= MAX_NUMBER_TEXT and NUMBER.fullmatch(value):
            return _nearest(Decimal(value))
    raise Misfit(f"{shown(value)} is not a finite number")


def _unchanged(value: int) -> float:
    """The integer as a float, if it is exactly equal: an integer beyond 2^53 may be an identifier."""
    try:
        number = float(value)
    except OverflowError:
        number = 0.0
    if number == value:  # exact between an int and a float
        return number
    raise Misfit(f"{shown(value)} is an integer that 64-bit floating point does not hold")


def _nearest(number: Decimal) -> float:
    """The nearest double, if its shortest form, or its form in as many digits as the number has, is the number again.

    So 7.8 fits, and so does any double that a source printed to 17 digits or in full; 3.14159265358979323846 does not.
    """
    nearest = float(number)
    digits = len("".join(map(str, number.as_tuple().digits)).rstrip("0"))
    if not digits:
        return nearest
    if digits <= FLOAT_DIGITS and number in {Decimal(repr(nearest)), Decimal(f"{nearest:.{digits - 1}e}")}:
        return nearest
    raise Misfit(f"{shown(number)} has more digits or a wider exponent than 64-bit floating point holds")


def _numeric(value: object) -> Decimal:
    match value:
        case bool():
            pass
        case int() | float():  # a float is the number that its bits mean: 0.5 fits, and 0.1 has 55 decimals
            return _exactly(Decimal(value))
        case Decimal():
            return _exactly(value)
        case str() if len(value) <= MAX_NUMBER_TEXT and NUMBER.fullmatch(value):
            return _exactly(Decimal(value))
    raise Misfit(f"{shown(value)} is not a decimal number")


def _exactly(number: Decimal) -> Decimal:
    if not number.is_finite():
        raise Misfit(f"{shown(number)} is not a finite number")
    try:
        return exact(number)
    except Inexact:
        raise Misfit(f"{shown(number)} has more than {DECIMALS} decimals, which would be rounded") from None
    except ArithmeticError:
        raise Misfit(f"{shown(number)} has more than {WHOLE} digits before the decimal point") from None


def _date(value: object) -> date:
    if isinstance(value, datetime):  # as a column's form has been read
        instant = _in_utc(value)
        # guard: an instant inside a day is not a date
        if instant.time() != time.min:
            raise Misfit(f"{instant.isoformat()} is not a midnight in UTC: a date has no time")
        return instant.date()
    if isinstance(value, date):
        return value
    try:
        if isinstance(value, str) and DAY.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:  # the 30th of February, or the year 0
        pass
    raise Misfit(f"{shown(value)} is not a date of the years 1 to 9999 as YYYY-MM-DD")


def _boolean(value: object) -> bool:
    match value:
        case bool():
            return value
        case int() | str() if value in BOOLEANS:
            return BOOLEANS[value]
    raise Misfit(f"{shown(value)} is neither true nor false")


def _json(value: object) -> str:
    if _is_json(value):
        return json_text(value)
    raise Misfit(f"{shown(value)} cannot be written as JSON")


def _is_json(value: object) -> bool:
    match value:
        case dict():
            return all(isinstance(key, str) and _is_json(member) for key, member in value.items())
        case list():
            return all(map(_is_json, value))
        case float():
            return isfinite(value)
        case Decimal():
            return value.is_finite()
    return value is None or isinstance(value, int | str)


CASTS: dict[ColumnType, Callable[[object], object]] = {
    ColumnType.INT64: _integer,
    ColumnType.STRING: _text,
    ColumnType.TIMESTAMP: _timestamp,
    ColumnType.FLOAT64: _float,
    ColumnType.BOOL: _boolean,
    ColumnType.JSON: _json,
    ColumnType.DATE: _date,
    ColumnType.NUMERIC: _numeric,
}


def cast_value(column: Column, value: object) -> object:
    """`value` in the column's type.

    Raises:
        Misfit: it does not fit without loss; the message names the column and the value.
    """
    if value is None:
        if column.nullable:
            return None
        raise Misfit(f"{column.name} is null or missing")
    if isinstance(value, Unread):
        raise Misfit(f"{column.name}: {shown(value.value)} is not {value.form}, exact to the microsecond")
    if column.truncates and isinstance(value, str):
        value = FINER.sub(r"\1", value)
    try:
        return CASTS[column.type](value)
    except Misfit as error:
        raise Misfit(f"{column.name}: {error}") from None
    except (ArithmeticError, ValueError):  # NaN was compared, or the number is too large for Decimal or float
        raise Misfit(f"{column.name}: {shown(value)} is outside the range of a column of type {column.type}") from None
