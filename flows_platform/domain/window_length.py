"""The length of windows: a span of time, or months of the calendar. Times are those of a zone's clock, without zone."""

from dataclasses import dataclass
from datetime import datetime, timedelta

MONTHS_OF_A_YEAR = 12
LAST_DAY = 28  # the last day that every month has


@dataclass(frozen=True, slots=True)
class Months:
    """So many months: the windows begin on the same day of the month, 28 at most, at the same time."""

    number: int

    def __str__(self) -> str:
        return "a month" if self.number == 1 else f"{self.number} months"


type WindowLength = timedelta | Months


def moved(clock: datetime, length: WindowLength, times: int) -> datetime:
    """The time that is `times` lengths after `clock`; a negative number goes back.

    Raises:
        ValueError: the time is not in the years 1 to 9999.
        OverflowError: as ValueError.
    """
    if isinstance(length, timedelta):
        return clock + times * length
    year, month = divmod(clock.year * MONTHS_OF_A_YEAR + clock.month - 1 + times * length.number, MONTHS_OF_A_YEAR)
    return clock.replace(year=year, month=month + 1)


def lengths_between(first: datetime, clock: datetime, length: WindowLength) -> int:
    """How many whole lengths lead from `first` to `clock`; rounded down, so negative before `first`."""
    if isinstance(length, timedelta):
        return (clock - first) // length
    months = (clock.year - first.year) * MONTHS_OF_A_YEAR + clock.month - first.month
    is_earlier_in_month = (clock.day, clock.time()) < (first.day, first.time())
    return (months - is_earlier_in_month) // length.number


def longest(length: WindowLength) -> timedelta:
    """The time that the longest window of that length takes, on a clock that is not changed."""
    if isinstance(length, timedelta):
        return length
    starts = [datetime(year, month, 1) for year in (2023, 2024) for month in range(1, 13)]  # noqa: DTZ001 - a leap day
    return max(moved(start, length, 1) - start for start in starts)


def is_whole_days(length: WindowLength) -> bool:
    """Whether windows of that length begin at the same time of the day."""
    return isinstance(length, Months) or not length % timedelta(days=1)
