"""Cron schedules that define windows of equal length: hourly, every few hours, daily, weekly. No clock."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.windows import WindowGrid

_FORMS = re.compile(
    r"(?P<minute>[0-5]?[0-9]) (?:(?P<hourly>\*)|\*/(?P<step>[0-9]{1,2})|(?P<hour>[01]?[0-9]|2[0-3])) \* \* "
    r"(?P<weekday>\*|[0-6])"
)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Cron:
    """When windows start: every `length`, `offset` after midnight. For windows of a week, after a Sunday's midnight."""

    text: str
    length: timedelta
    offset: timedelta

    @classmethod
    def parse(cls, text: str) -> "Cron":
        """Read `M * * * *`, `M */N * * *`, `M H * * *` or `M H * * D`.

        Raises:
            ConfigurationError: another form, or a step that does not divide the day.
        """
        match = _FORMS.fullmatch(text)
        if match is None:
            raise ConfigurationError(
                f"the cron schedule {text!r} does not define windows of equal length.",
                remedy="Use M * * * *, M */N * * *, M H * * * or M H * * D: hours, days or weeks.",
            )
        minute = timedelta(minutes=int(match["minute"]))
        if match["hour"] is None:
            return cls(text, _hours(text, int(match["step"] or 1), match["weekday"]), minute)
        time = timedelta(hours=int(match["hour"])) + minute
        if match["weekday"] == "*":
            return cls(text, DAY, time)
        return cls(text, 7 * DAY, time + int(match["weekday"]) * DAY)

    def later(self, delay: timedelta) -> str:
        """The schedule that ticks `delay` after these windows end: `20 */3 * * *` for `0 */3 * * *` and 20 minutes."""
        minutes = int((self.offset + delay).total_seconds()) // 60 % (int(self.length.total_seconds()) // 60)
        hours, minute = divmod(minutes, 60)
        days, hour = divmod(hours, 24)
        if self.length >= DAY:
            return f"{minute} {hour} * * {days if self.length > DAY else '*'}"
        step = self.length // timedelta(hours=1)
        return f"{minute} {f'{hour}-23' if hour else '*'}{f'/{step}' if step > 1 else ''} * * *"

    def grid(self, start: datetime, zone: tzinfo = UTC) -> WindowGrid:
        """The windows from `start` on.

        Raises:
            ConfigurationError: no window starts there, or windows shorter than a day in a zone other than UTC.
        """
        clock = start.astimezone(zone).replace(tzinfo=None)
        sunday = datetime(1970, 1, 4)  # noqa: DTZ001 - on the zone's clock
        if (clock - sunday - self.offset) % self.length:
            raise ConfigurationError(
                f"the first window's start {clock:%Y-%m-%d %H:%M} does not match the cron schedule {self.text!r}.",
                remedy="Move the start to a time that the schedule names.",
            )
        return WindowGrid(start, self.length, zone)


def _hours(text: str, step: int, weekday: str) -> timedelta:
    if weekday != "*" or step == 0 or 24 % step:
        raise ConfigurationError(
            f"the cron schedule {text!r} does not define windows of equal length.",
            remedy="A step of hours must divide the day: 1, 2, 3, 4, 6, 8 or 12.",
        )
    return timedelta(hours=step)
