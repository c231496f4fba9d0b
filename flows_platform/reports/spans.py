"""The range of time whose rows an answer depends on. Text and times only: publishers of windows use it too."""

from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from flows_platform.reports.values import Value

LEAST, DAY = timedelta(microseconds=1), timedelta(days=1)
LAST = datetime.max.replace(tzinfo=UTC)


class Reads(StrEnum):
    """Which rows of its tables an answer depends on, by their time."""

    ALL = "all"  # any
    BEFORE = "before"  # from the first value of the range on, before the last one
    THROUGH = "through"  # the last value included


class Span(NamedTuple):
    """The instants from `start` to before `end`; `until` is the end that a request means."""

    start: datetime
    end: datetime
    until: datetime


def span_of(reads: Reads, first: Value, last: Value) -> Span | None:
    """The range of a request; None for a statement that may read any row."""
    if reads is Reads.ALL:
        return None
    through = reads is Reads.THROUGH
    if isinstance(first, datetime) and isinstance(last, datetime):
        return Span(first, _later(last, LEAST) if through else last, last)
    assert isinstance(first, date) and isinstance(last, date)  # noqa: S101, PT018 - the declaration was checked
    end = _later(_midnight(last), DAY) if through else _midnight(last)
    return Span(_midnight(first), end, end)


def _later(moment: datetime, by: timedelta) -> datetime:
    """The later moment, or the last one that there is."""
    return moment + min(by, LAST - moment)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
