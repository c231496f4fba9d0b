"""How sources write instants, and how a value in such a form is read: exactly, or not at all."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Context, Decimal, Inexact, InvalidOperation
from enum import StrEnum

from flows_platform.domain.strftime import strftime_reader


class TimeForm(StrEnum):
    """How a source writes an instant."""

    ISO = "iso"  # with a zone
    ISO_UTC = "iso_utc"  # without a zone, in UTC
    DATE = "date"  # 2024-03-01, the day's midnight in UTC
    SECONDS = "seconds"  # since 1970
    MILLISECONDS = "milliseconds"
    MICROSECONDS = "microseconds"
    NANOSECONDS = "nanoseconds"


PER_SECOND = {
    TimeForm.SECONDS: 1,
    TimeForm.MILLISECONDS: 10**3,
    TimeForm.MICROSECONDS: 10**6,
    TimeForm.NANOSECONDS: 10**9,
}
DATE_TEXT = "%Y-%m-%d"
_ZONED = re.compile(r"(?:Z|[+-][0-9]{2}:?[0-9]{2})\Z", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What counts as a number of seconds: Python alone would also accept 1_000, and compute 1e999999 in full.
_NUMBER = re.compile(r"-?[0-9]{1,19}(?:\.[0-9]{1,18})?(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)
_EXACT = Context(prec=200, traps=[Inexact, InvalidOperation])
_LONGEST = 100  # characters of an instant

type Written = TimeForm | str  # a form's name, or a strftime text


@dataclass(frozen=True, slots=True)
class Unread:
    """A value that is not written in its column's form. Casting rejects it: its type alone might fit."""

    value: object
    form: str


def instant_in(form: Written, value: object, *, truncates: bool = False) -> object:
    """The instant that a value means: a datetime in UTC, an ISO text with its zone, or an `Unread`.

    `truncates` drops digits beyond a microsecond; without it, a value that has such digits is unread.
    """
    if form is TimeForm.ISO:
        return value
    if form is TimeForm.ISO_UTC:
        return f"{value}Z" if isinstance(value, str) and not _ZONED.search(value) else value
    if isinstance(form, TimeForm) and form in PER_SECOND:
        found, meant = _since_1970(value, PER_SECOND[form], floor=truncates), f"a number of {form} since 1970"
    else:
        text = DATE_TEXT if form is TimeForm.DATE else str(form)
        found, meant = _by_strftime(value, text, truncates=truncates), f"a time written as {text!r}"
    # guard: a value is in its column's form
    return Unread(value, meant) if found is None else found


def _since_1970(value: object, per_second: int, *, floor: bool) -> datetime | None:
    """An instant from a number; None if it is not a number that a time can hold exactly.

    `per_second` is the number of units in a second. `floor` drops all digits finer than a microsecond.
    """
    try:
        # guard: numbers of seconds are exact
        if not _NUMBER.fullmatch(str(value)):
            return None
        microseconds = _EXACT.multiply(Decimal(str(value)), Decimal(1_000_000) / per_second)
        if floor:
            microseconds = microseconds.to_integral_value(ROUND_FLOOR)
        exact = microseconds == microseconds.to_integral_value()
        return _EPOCH + timedelta(microseconds=int(microseconds)) if exact else None
    except (Inexact, OverflowError, ValueError):  # ValueError: an integer too long for Python to write in decimal
        return None


def _by_strftime(value: object, text: str, *, truncates: bool) -> datetime | None:
    """An instant from a text, or from a whole number such as 20240301."""
    if not isinstance(value, str | int) or isinstance(value, bool):
        return None
    try:
        written = str(value)
    except ValueError:  # an integer too long for Python to write in decimal
        return None
    return strftime_reader(text).read(written, truncates=truncates) if len(written) <= _LONGEST else None
