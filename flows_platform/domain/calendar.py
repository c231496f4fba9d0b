"""The windows of a table, and when they close. Pure; never reads the clock."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from flows_platform.domain.windows import Window, WindowGrid


@dataclass(frozen=True, slots=True)
class Calendar:
    """The windows from the grid's start to `end`, or for ever without one; a window closes `grace` after its end."""

    grid: WindowGrid
    end: datetime | None
    grace: timedelta

    def last_closed(self, now: datetime) -> Window | None:
        """The newest closed window of the data set; None before the first one has closed."""
        window = self.grid.closed(now, grace=self.grace)
        if self.end:
            window = min(window, self.grid.before(self.grid.floor(self.end)))
        return window if window.start >= self.grid.start else None

    def is_newest(self, window: Window, now: datetime) -> bool:
        """Whether no later window has closed: until then, a list of now is that of the window."""
        return window >= self.grid.closed(now, grace=self.grace)

    def ended(self, now: datetime) -> Iterator[Window]:
        """All windows of the data set that have ended, oldest first; the grace of the newest ones may not be over."""
        if newest := replace(self, grace=timedelta(0)).last_closed(now):
            yield from self.grid.between(self.grid.nth(0), newest)

    def back_from(self, window: Window, count: int) -> list[Window]:
        """Up to `count` windows before `window`, then `window` itself, oldest first."""
        windows = [window]
        while len(windows) <= count and windows[0].start > self.grid.start:
            windows.insert(0, self.grid.before(windows[0]))
        return windows

    def reached(self, now: datetime, newest: datetime | None) -> Window | None:
        """The newest closed window that the source's records have reached.

        Args:
            now: The current time of the data.
            newest: The time of the source's newest record; None if it has no records.
        """
        closed = self.last_closed(now)
        if closed is None or newest is None or newest < self.grid.start:
            return None
        return min(closed, self.grid.floor(newest))
