"""Which windows want a run: those that closed, and those near the end that changed. Pure; never asks for the clock."""

import json
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from flows_platform.domain.windows import Window, WindowGrid
from flows_platform.fetch.latest import Latest


@dataclass(frozen=True, slots=True)
class Cursor:
    """What was seen at the last look: the source's record count, and the start of the last window asked for.

    All windows before `first` were loaded, or are no business of the sensor's.
    """

    records: int = 0
    last: str = ""
    first: str = ""

    @classmethod
    def parse(cls, text: str | None) -> "Cursor":
        return cls(**json.loads(text)) if text else cls()

    def render(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class Calendar:
    """The windows there are: from the grid's start to `end` or for ever, each closed `grace` after its own end."""

    grid: WindowGrid
    end: datetime | None
    grace: timedelta

    def last_closed(self, now: datetime) -> Window | None:
        """The newest closed window of the data set, if one has closed yet."""
        window = self.grid.closed(now, grace=self.grace)
        if self.end:
            window = min(window, self.grid.before(self.grid.floor(self.end)))
        return window if window.start >= self.grid.start else None

    def back_from(self, window: Window, count: int) -> list[Window]:
        """Up to `count` windows before `window`, and it, oldest first."""
        windows = [window]
        while len(windows) <= count and windows[0].start > self.grid.start:
            windows.insert(0, self.grid.before(windows[0]))
        return windows

    def reached(self, now: datetime, latest: Latest) -> Window | None:
        """The newest closed window that the source's records have reached."""
        closed = self.last_closed(now)
        if closed is None or latest.newest is None or latest.newest < self.grid.start:
            return None
        return min(closed, self.grid.floor(latest.newest))


def newly_closed(calendar: Calendar, cursor: Cursor, reached: Window, look_back: int | None) -> Iterator[Window]:
    """Windows after the cursor's up to `reached`; without a cursor only the last few, since history is a backfill's.

    A `look_back` of None says that there is no history: it begins with the first window.
    """
    if cursor.last:
        yield from calendar.grid.between(calendar.grid.after(calendar.grid.from_key(cursor.last)), reached)
    elif look_back is None:
        yield from calendar.grid.between(calendar.grid.floor(calendar.grid.start), reached)
    else:
        yield from calendar.back_from(reached, look_back)


def not_loaded(calendar: Calendar, cursor: Cursor, loaded: Collection[str]) -> list[Window]:
    """Windows that were asked for up to the cursor and are not in the table."""
    if not cursor.last:
        return []
    last = calendar.grid.from_key(cursor.last)
    first = calendar.grid.from_key(cursor.first) if cursor.first else last
    # guard: windows that failed are remembered
    return [window for window in calendar.grid.between(first, last) if window.key not in loaded]


def pause(failures: int, first: timedelta, longest: timedelta) -> timedelta:
    """How long a window is left alone after so many failures in a row: doubled with each."""
    return min(longest, first * 2 ** (failures - 1)) if failures else timedelta(0)
