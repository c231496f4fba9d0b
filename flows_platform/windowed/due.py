"""Which windows want a run: those that closed, and those near the end that changed. Pure; never asks for the clock."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from flows_platform.domain.windows import Window, WindowGrid
from flows_platform.fetch.latest import Latest


@dataclass(frozen=True, slots=True)
class Cursor:
    """What was seen at the last look: the source's record count, and the start of the last window asked for."""

    records: int = 0
    last: str = ""

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


def newly_closed(calendar: Calendar, cursor: Cursor, reached: Window, look_back: int) -> Iterator[Window]:
    """Windows after the cursor's up to `reached`; without a cursor only the last few, since history is a backfill's."""
    if not cursor.last:
        yield from calendar.back_from(reached, look_back)
        return
    yield from calendar.grid.between(calendar.grid.after(calendar.grid.from_key(cursor.last)), reached)
