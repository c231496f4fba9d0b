"""How far a table is behind: the age of its oldest missing window. Pure; checks, freshness and notifications use it.

A set of windows is an integer with bit n for window number n: 37,600 windows take 5 kB, and no operation needs a loop.
"""

import base64
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from flows_platform.domain.calendar import Calendar
from flows_platform.domain.windows import Window, WindowGrid

NAMED = 20  # windows that a message lists by name


def bits(grid: WindowGrid, keys: Iterable[str]) -> int:
    """The windows that `keys` name; without keys of another grid, such as the one before the table's YAML changed."""
    found = bytearray()
    for number in map(grid.number_of_key, keys):
        if number is None:
            continue
        index = number // 8
        if index >= len(found):
            found.extend(bytes(index + 1 - len(found)))
        found[index] |= 1 << number % 8
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
    """The set that `packed` made the text from."""
    return int.from_bytes(zlib.decompress(base64.b64decode(text)), "little")


@dataclass(frozen=True, slots=True)
class KeysOf:
    """The keys of a set of windows, without a list of them."""

    grid: WindowGrid
    windows: int

    def __contains__(self, key: object) -> bool:
        number = self.grid.number_of_key(str(key))
        return number is not None and bool(self.windows >> number & 1)


@dataclass(frozen=True, slots=True)
class Windows:
    """What is known of a table's windows, as sets.

    `loaded` are in the table. `attempted` were tried since they were last loaded. A run works on the `busy` ones, or is
    queued for them. The `unconfirmed` came back with far fewer rows: the old rows stay until a second pull confirms it.
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
        return cls(windows.bit_count(), tuple(grid.nth(number).key for number in islice(numbers(windows), NAMED)))

    def __str__(self) -> str:
        more = f" and {self.count - len(self.first):,} more" if self.count > len(self.first) else ""
        return ", ".join(self.first) + more if self.first else "none"


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a table was behind at one instant of its data.

    `oldest` is the oldest closed window that is not in the table, and `age` is that instant minus its end; 0 without
    one. The `missing` windows are of three kinds. The last attempt on the `failed` ones failed. A run works on the
    `waiting` ones or is queued for them, or their rows wait for a confirmation. The others were `never_started`.
    `unconfirmed` are all windows that wait for a confirmation, whether or not the table has older rows of them. `gone`
    counts the windows of a snapshot whose lists were not fetched in time.
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
    gone: int = 0

    @property
    def behind(self) -> timedelta:
        """The age of the instant up to which no closed window is missing; 0 if none is missing at all."""
        return self.age + (self.oldest.end - self.oldest.start) if self.oldest else timedelta(0)

    def __str__(self) -> str:
        confirmation = f" {_are(self.unconfirmed.count)} waiting for a confirmation." if self.unconfirmed.count else ""
        if self.gone:
            confirmation += f" The lists of {self.gone:,} older windows were not fetched in time, and are gone."
        if self.oldest is None:
            return f"All closed windows are in the table: {self.closed - self.gone:,}.{confirmation}"
        return (
            f"{self.missing.count:,} of {self.closed:,} closed windows {_is(self.missing.count)} not in the table; the "
            f"oldest, {self.oldest.key}, ended {age_text(self.age)} ago. {self.failed.count:,} failed, "
            f"{self.waiting.count:,} waiting, {self.never_started.count:,} never started.{confirmation}"
        )


def lag_at(calendar: Calendar, now: datetime, windows: Windows, *, snapshot: bool = False) -> Lag:
    """The lag at the instant `now` of the data, over all windows that have closed by then.

    Of a `snapshot`, over those after the newest one in the table: the lists of older windows cannot be fetched any
    more, and those between two that are in the table are `gone`.
    """
    grid, newest = calendar.grid, calendar.last_closed(now)
    closed = grid.number(newest) + 1 if newest else 0
    # guard: the lag is over all windows
    missing = ((1 << closed) - 1) & ~windows.loaded
    unconfirmed, gone = windows.unconfirmed, 0
    if snapshot:
        loaded = windows.loaded & ((1 << closed) - 1)
        first = (loaded & -loaded).bit_length() - 1
        older = (1 << (loaded.bit_length() or max(closed - 1, 0))) - 1
        gone = ((missing & older) >> first).bit_count() if loaded else 0
        missing, unconfirmed = missing & ~older, unconfirmed & ~older
    waiting = missing & (windows.busy | unconfirmed)
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
        unconfirmed=Some.of(grid, unconfirmed),
        gone=gone,
    )


def age_text(age: timedelta) -> str:
    """An age in people's units: `40 min`, `5 h 20 min`, `12 days 3 h`."""
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
