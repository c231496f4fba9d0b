"""Cron schedules that define windows: of some minutes, hours, days, a week, or months. No clock."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.window_length import (
    LAST_DAY,
    MONTHS_OF_A_YEAR,
    Months,
    WindowLength,
    is_whole_days,
    lengths_between,
    longest,
    moved,
)
from flows_platform.domain.windows import WindowGrid

MINUTE, HOUR, DAY, WEEK = (timedelta(minutes=minutes) for minutes in (1, 60, 24 * 60, 7 * 24 * 60))
LONGEST_MONTH = 31 * DAY
MINUTES = frozenset({2, 3, 4, 5, 6, 10, 12, 15, 20, 30})  # not 1: a run takes seconds
# On the zone's clock, as all times here.
JANUARY, SUNDAY = datetime(1970, 1, 1), datetime(1970, 1, 4)  # noqa: DTZ001

FORMS = (
    "`*/N * * * *` or `M-59/N * * * *` for windows of N minutes (2, 3, 4, 5, 6, 10, 12, 15, 20 or 30), "
    "`M * * * *` for hours, `M */N * * *` for N hours (2, 3, 4, 6, 8 or 12), `M H * * *` for days, `M H * * D` for "
    "weeks (0 is Sunday), `M H D * *` for months (D from 1 to 28), `M H D */N *` for N months (2, 3, 4 or 6), "
    "`M H D N *` for years from month N on"
)
_MINUTE, _HOUR = r"(?P<minute>[0-5]?[0-9])", r"(?P<hour>[01]?[0-9]|2[0-3])"
_MINUTES = re.compile(r"(?:\*|(?P<first>[0-5]?[0-9])-59)/(?P<step>[0-9]{1,2}) \* \* \* \*")
_HOURS = re.compile(rf"{_MINUTE} (?:\*|\*/(?P<step>[0-9]{{1,2}})) \* \* \*")
_DAYS = re.compile(rf"{_MINUTE} {_HOUR} \* \* (?P<weekday>\*|[0-6])")
_MONTHS = re.compile(
    rf"{_MINUTE} {_HOUR} (?P<day>0?[1-9]|1[0-9]|2[0-8]) "
    r"(?:\*|\*/(?P<step>[0-9]{1,2})|(?P<month>0?[1-9]|1[0-2])) \*"
)


def clock_change(zone: tzinfo) -> timedelta:
    """How far the zone's clock may be put forward or back: an hour, or 0 if it never is."""
    return HOUR if zone.utcoffset(None) is None else timedelta(0)


@dataclass(frozen=True, slots=True)
class Cron:
    """When windows start: at `first` on the zone's clock, and every `length` before and after it."""

    text: str
    length: WindowLength
    first: datetime

    @classmethod
    def parse(cls, text: str) -> "Cron":
        """Read one of the forms in `FORMS`.

        Raises:
            ConfigurationError: another form, or a step that does not divide the hour, the day or the year.
        """
        found = _minutes(text) or _hours(text) or _days(text) or _months(text)
        if found is None:
            raise ConfigurationError(f"the cron schedule {text!r} does not define windows.", remedy=f"Use {FORMS}.")
        return cls(text, *found)

    def later(self, delay: timedelta, zone: tzinfo = UTC) -> str:
        """The schedule that ticks `delay` after these windows end: `20 */3 * * *` for `0 */3 * * *` and 20 minutes.

        Weeks and months in a zone whose clock changes have an hour more: where the clock was put forward, an hour less
        has passed, and the next tick is far away.
        """
        # guard: a tick comes after its window closed
        delay += self._more(zone)
        if isinstance(self.length, Months):
            return _monthly(self._since_month + delay, self.first.month, self.length.number)
        since = (self.first - SUNDAY + delay) // MINUTE % (self.length // MINUTE)
        hours, minute = divmod(since, 60)
        days, hour = divmod(hours, 24)
        if self.length >= DAY:
            return f"{minute} {hour} * * {days if self.length > DAY else '*'}"
        if self.length < HOUR:
            return f"{minute}-59/{self.length // MINUTE} * * * *"
        step = self.length // HOUR
        return f"{minute} {f'{hour}-23' if hour else '*'}{f'/{step}' if step > 1 else ''} * * *"

    def lateness(self, delay: timedelta, zone: tzinfo = UTC) -> timedelta:
        """How much more than `delay` after a window's end the tick of `later` may come."""
        more = self._more(zone)
        if not isinstance(self.length, Months):
            return more
        return more + (self._since_month + delay + more) // (LAST_DAY * DAY) * (LONGEST_MONTH - LAST_DAY * DAY)

    def _more(self, zone: tzinfo) -> timedelta:
        return clock_change(zone) if longest(self.length) > DAY else timedelta(0)

    @property
    def _since_month(self) -> timedelta:
        """From the beginning of a window's first month to its start."""
        return self.first.replace(month=1) - JANUARY

    @property
    def starts_at_midnight(self) -> bool:
        """Whether every window is whole days."""
        return is_whole_days(self.length) and self.first.time() == datetime.min.time()

    def grid(self, start: datetime, zone: tzinfo = UTC) -> WindowGrid:
        """The windows from `start` on.

        Raises:
            ConfigurationError: no window starts there, or windows shorter than a day in a zone other than UTC.
        """
        clock = start.astimezone(zone).replace(tzinfo=None)
        if moved(self.first, self.length, lengths_between(self.first, clock, self.length)) != clock:
            raise ConfigurationError(
                f"the first window's start {clock:%Y-%m-%d %H:%M} does not match the cron schedule {self.text!r}.",
                remedy="Move the start to a time that the schedule names.",
            )
        return WindowGrid(start, self.length, zone)


type _Found = tuple[WindowLength, datetime] | None


def _minutes(text: str) -> _Found:
    match = _MINUTES.fullmatch(text)
    step = int(match["step"]) if match else 0
    first = int(match["first"] or 0) if match else 0
    # A first minute beyond the step would leave a gap at the hour.
    if step not in MINUTES or first >= step:
        return None
    return step * MINUTE, SUNDAY + first * MINUTE


def _hours(text: str) -> _Found:
    match = _HOURS.fullmatch(text)
    step = int(match["step"] or 1) if match else 0
    return (step * HOUR, SUNDAY + _time(match)) if match and step and not 24 % step else None


def _days(text: str) -> _Found:
    match = _DAYS.fullmatch(text)
    if match is None:
        return None
    if match["weekday"] == "*":
        return DAY, SUNDAY + _time(match)
    return WEEK, SUNDAY + int(match["weekday"]) * DAY + _time(match)


def _months(text: str) -> _Found:
    match = _MONTHS.fullmatch(text)
    if match is None:
        return None
    step = MONTHS_OF_A_YEAR if match["month"] else int(match["step"] or 1)
    if step == 0 or MONTHS_OF_A_YEAR % step:
        return None
    first = datetime(1970, int(match["month"] or 1), int(match["day"]))  # noqa: DTZ001 - as above
    return Months(step), first + _time(match)


def _time(match: re.Match[str]) -> timedelta:
    return int(match.groupdict().get("hour") or 0) * HOUR + int(match["minute"]) * MINUTE


def _monthly(since: timedelta, month: int, step: int) -> str:
    """The schedule that ticks `since` after the beginning of `month`, and every `step` months.

    As if all months had 28 days: a tick on the 29th or later would not come every month, so it comes on the 1st.
    """
    over, within = divmod(since, LAST_DAY * DAY)
    month = (month - 1 + over) % step + 1
    hour, minute = divmod(within % DAY // MINUTE, 60)
    months = "*" if step == 1 else f"{month}" if step == MONTHS_OF_A_YEAR else f"{month}-{MONTHS_OF_A_YEAR}/{step}"
    return f"{minute} {hour} {within // DAY + 1} {months} *"
