"""How far a table is behind: the age of its oldest missing window. Pure; check, freshness and notifications take it.

Sets of windows are integers, bit n for the window number n: of 37,600 windows 5 kB, and nothing to loop over.
"""

import base64
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from flows_platform.domain.calendar import Calendar
from flows_platform.domain.windows import Window, WindowGrid

NAMED = 20  # windows of a kind that are listed by name


def bits(grid: WindowGrid, keys: Iterable[str]) -> int:
    """The windows that `keys` name; keys of another grid, as before the declaration changed, are left out."""
    found = bytearray()
    for number in map(grid.number_of_key, keys):
        if number is None:
            continue
        place = number // 8
        if place >= len(found):
            found.extend(bytes(place + 1 - len(found)))
        found[place] |= 1 << number % 8
    return int.from_bytes(found, "little")


def numbers(windows: int) -> Iterator[int]:
    """The numbers of the windows in the set, ascending."""
    while windows:
        lowest = windows & -windows
        yield lowest.bit_length() - 1
        windows ^= lowest


def packed(windows: int) -> str:
    """The set as a short text."""
    return base64.b64encode(zlib.compress(windows.to_bytes(windows.bit_length() // 8 + 1, "little"))).decode()


def unpacked(text: str) -> int:
    """What `packed` made a text of."""
    return int.from_bytes(zlib.decompress(base64.b64decode(text)), "little")


@dataclass(frozen=True, slots=True)
class Windows:
    """What is known of a table's windows, each a set.

    `loaded` are in the table; `attempted` were tried since they last were; `busy` are those that a run is on or is
    queued for; `unconfirmed` came back with far fewer rows, which a second pull has to confirm: the old rows stay.
    """

    loaded: int = 0
    attempted: int = 0
    busy: int = 0
    unconfirmed: int = 0


@dataclass(frozen=True, slots=True)
class Some:
    """Some windows: how many, and the keys of the first ones."""

    count: int
    first: tuple[str, ...]

    @classmethod
    def of(cls, grid: WindowGrid, windows: int) -> "Some":
        return cls(windows.bit_count(), tuple(grid.nth(each).key for each in islice(numbers(windows), NAMED)))

    def __str__(self) -> str:
        more = f" and {self.count - len(self.first):,} more" if self.count > len(self.first) else ""
        return ", ".join(self.first) + more if self.first else "none"


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a table was behind at one instant of its data.

    `age` is that instant minus the end of `oldest`, the oldest closed window that is not in the table; 0 without one.
    Of the `missing` windows the last attempt on the `failed` ones failed, a run is on the `waiting` ones or is queued
    for them, or their rows wait for a confirmation, and the rest were never started. `unconfirmed` are all that wait
    for a confirmation, whether the table has older rows of them or none.
    """

    closed: int
    newest: Window | None
    oldest: Window | None
    age: timedelta
    missing: Some
    failed: Some
    waiting: Some
    never_started: Some
    unconfirmed: Some

    @property
    def behind(self) -> timedelta:
        """How old the newest instant is up to which every closed window is in the table; 0 where all are."""
        return self.age + (self.oldest.end - self.oldest.start) if self.oldest else timedelta(0)

    def __str__(self) -> str:
        confirmation = f" {_are(self.unconfirmed.count)} waiting for a confirmation." if self.unconfirmed.count else ""
        if self.oldest is None:
            return f"All closed windows are in the table: {self.closed:,}.{confirmation}"
        return (
            f"{self.missing.count:,} of {self.closed:,} closed windows {_is(self.missing.count)} not in the table; the "
            f"oldest, {self.oldest.key}, ended {age_text(self.age)} ago. {self.failed.count:,} failed, "
            f"{self.waiting.count:,} waiting, {self.never_started.count:,} never started.{confirmation}"
        )


def lag_at(calendar: Calendar, now: datetime, windows: Windows) -> Lag:
    """The lag at the instant `now` of the data, over all windows that have closed by then."""
    grid, newest = calendar.grid, calendar.last_closed(now)
    closed = grid.number(newest) + 1 if newest else 0
    # guard: the lag is over all windows
    missing = ((1 << closed) - 1) & ~windows.loaded
    waiting = missing & (windows.busy | windows.unconfirmed)
    failed = missing & windows.attempted & ~waiting
    oldest = grid.nth(next(numbers(missing))) if missing else None
    return Lag(
        closed=closed,
        newest=newest,
        oldest=oldest,
        age=now - oldest.end if oldest else timedelta(0),
        missing=Some.of(grid, missing),
        failed=Some.of(grid, failed),
        waiting=Some.of(grid, waiting),
        never_started=Some.of(grid, missing & ~waiting & ~failed),
        unconfirmed=Some.of(grid, windows.unconfirmed),
    )


def age_text(age: timedelta) -> str:
    """An age as people read it: `40 min`, `5 h 20 min`, `12 days 3 h`."""
    minutes = int(age.total_seconds()) // 60
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days:,} {'day' if days == 1 else 'days'} {hour} h"
    return f"{hour} h {minute} min" if hour else f"{minute} min"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _are(count: int) -> str:
    return f"{count:,} {_is(count)}"
