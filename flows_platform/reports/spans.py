"""The range of time whose rows an answer depends on. Light to import, since publishers of windows need it too."""

from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from flows_platform.reports.values import Value

LEAST, DAY = timedelta(microseconds=1), timedelta(days=1)
LAST = datetime.max.replace(tzinfo=UTC)


class Reads(StrEnum):
    """Which rows of its tables an answer depends on, by their time."""

    ALL = "all"  # all rows
    BEFORE = "before"  # those of the range, without its end
    THROUGH = "through"  # those of the range, including its end


class Span(NamedTuple):
    """A half-open range of instants.

    Args:
        start: The first instant.
        end: The first instant after the range.
        until: The end as the request gave it.
    """

    start: datetime
    end: datetime
    until: datetime


def span_of(reads: Reads, first: Value, last: Value) -> Span | None:
    """The range of a request; None for a statement that may read all rows."""
    if reads is Reads.ALL:
        return None
    through = reads is Reads.THROUGH
    if isinstance(first, datetime) and isinstance(last, datetime):
        return Span(first, _later(last, LEAST) if through else last, last)
    assert isinstance(first, date) and isinstance(last, date)  # noqa: S101, PT018 - the declaration was checked
    end = _later(_midnight(last), DAY) if through else _midnight(last)
    return Span(_midnight(first), end, end)


def _later(moment: datetime, by: timedelta) -> datetime:
    """The moment that is later by this much, or the last one that a datetime can hold."""
    return moment + min(by, LAST - moment)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
