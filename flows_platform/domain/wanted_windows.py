"""Which windows need a run, and why. Pure: schedules and sensors gather the state and pass the time.

All instants are in the time of the data, which a simulated clock runs faster than the wall clock.
"""

import json
from collections.abc import Collection, Container, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from itertools import islice

from flows_platform.domain.calendar import Calendar
from flows_platform.domain.unloaded_windows import Unloaded
from flows_platform.domain.windows import Window

# A sensor's tick may take 60 s: it requests this many runs, and the next tick requests more.
RUNS_A_LOOK = 24
LONGEST_PAUSE = timedelta(days=1)  # after failures of a window of weeks or months


class Reason(Enum):
    """Why a window needs a run. If several reasons apply, the one furthest down counts."""

    LOOK_BACK = "look-back"  # records may have come late, and no count rules that out
    NOT_LOADED = "not loaded"  # it is in the look-back, and was never fetched
    CHANGED = "changed"  # the source numbers its changes, and has one of this window
    COUNT_CHANGED = "count changed"  # the source's number of records differs from the number received
    FAILED = "failed"  # its last runs failed, and the pause after them is over
    CLOSED = "closed"  # it closed since the last look
    DIFFERS = "differs"  # source, window file and warehouse have different counts
    UNCONFIRMED = "unconfirmed"  # it lost rows, and a second pull may confirm that by now


@dataclass(frozen=True, slots=True)
class Cursor:
    """What the last look saw: the source's number of records, and the key of the `last` window that it requested.

    The windows before `first` were in the table then, or are history that a backfill loads. From there on, the windows
    of `unloaded` were not in the table, or all if it is empty; the next look checks them from `going_on` on.
    """

    records: int = 0
    last: str = ""
    first: str = ""
    unloaded: str = ""
    going_on: str = ""

    @classmethod
    def parse(cls, text: str | None) -> "Cursor":
        """Read what `render` wrote; before the first look, an empty cursor."""
        return cls(**json.loads(text)) if text else cls()

    def render(self) -> str:
        """The cursor as JSON."""
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class Failures:
    """How many runs in a row did not load a window, and when the last one ended."""

    count: int
    last: datetime


@dataclass(frozen=True, slots=True)
class TableState:
    """What is known here of a table's windows at one look.

    `loaded` and `running` are keys: the windows in the table, of those that `checked` names, and those that an
    unfinished run will load. The `confirmable` windows may now have their second pull. `received` maps the windows that
    were fetched to the number of records then, `failures` maps windows to their last failed runs. The pause after a
    failure starts at `pause` and doubles up to the window's length, or a day.

    A schedule looks `by_clock`: once per window, with a cursor made from the clock. It requests the look-back unless a
    count proves that nothing changed; a sensor requests it only if a count proves that something changed. The first
    look begins with the newest windows, or with the first one if `from_start`. Of a `snapshot` only the newest closed
    window is requested: the source no longer has the lists of others.
    """

    calendar: Calendar
    look_back: int
    cursor: Cursor = Cursor()
    by_clock: bool = False
    from_start: bool = False
    snapshot: bool = False
    loaded: Collection[str] = ()
    running: Container[str] = ()
    confirmable: Collection[Window] = ()
    received: Mapping[Window, int] = field(default_factory=dict)
    failures: Mapping[Window, Failures] = field(default_factory=dict)
    pause: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class SourceState:
    """What the source says: its newest instant (None if it is empty), its number of records, and its windows' counts.

    `differing` are the windows that a comparison of counts found.
    """

    newest: datetime | None = None
    records: int = 0
    counts: Mapping[Window, int] = field(default_factory=dict)
    differing: Collection[Window] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """The windows to run, oldest first, and the cursor for the next look.

    `overdue` is the number of windows that earlier looks requested and that are not in the table.
    """

    run: dict[Window, Reason]
    overdue: int
    cursor: Cursor


def checked(state: TableState) -> list[Window]:
    """The windows that earlier looks requested, and of which this look needs to know whether they are in the table."""
    return _unloaded(state).share


def candidates(state: TableState, now: datetime) -> list[Window]:
    """All windows that may need a run at `now`, before the source is asked; oldest first."""
    closed = _closed(state, state.calendar.last_closed(now))
    return sorted({*_look_back(state, closed), *_overdue(state), *closed, *state.confirmable})


def compared(state: TableState, now: datetime) -> list[Window]:
    """The windows that may need a run or not, depending on the number of records received; oldest first."""
    closed = _closed(state, state.calendar.last_closed(now))
    return [*_look_back(state, closed), *(closed if state.by_clock else [])]


def worth_asking(state: TableState, now: datetime) -> list[Window]:
    """The windows whose count at the source decides whether they need a run; oldest first."""
    return [
        window
        for window in compared(state, now)
        if window in state.received and window.key not in state.running and window not in state.confirmable
    ]


def wanted_windows(state: TableState, source: SourceState, now: datetime) -> Wanted:
    """The windows that need a run at `now`, except those that a run works on and those that pause after a failure."""
    closed, overdue = _closed(state, state.calendar.reached(now, source.newest)), _overdue(state)
    reasons = {
        **dict(_changed(state, source, closed)),
        **{window: Reason.FAILED for window in overdue if window in state.failures},
        **dict.fromkeys(_unproven(state, source, closed), Reason.CLOSED),
        **dict.fromkeys(source.differing, Reason.DIFFERS),
        **dict.fromkeys(state.confirmable, Reason.UNCONFIRMED),
    }
    # guard: windows that a run is on
    free = [window for window in sorted(reasons) if window.key not in state.running and _may_run(state, window, now)]
    later = free[RUNS_A_LOOK:]
    # guard: what does not fit into a look is not forgotten
    passed = [window for window in closed if not later or window < later[0]]
    run = {window: reasons[window] for window in free[:RUNS_A_LOOK]}
    unloaded = _unloaded(state).after(state.loaded, passed)
    return Wanted(run, unloaded.count - len(passed), _next_cursor(state, source, passed, unloaded))


def pause_after(failures: int, first: timedelta, longest: timedelta) -> timedelta:
    """How long a window pauses after this number of failures in a row."""
    return min(longest, first * 2 ** (failures - 1)) if failures else timedelta(0)


def pauses(window: Window, failures: Failures | None, first: timedelta, now: datetime) -> bool:
    """Whether a window pauses after its last failures; after the `first` one for that long."""
    if failures is None:
        return False
    longest = min(window.end - window.start, LONGEST_PAUSE)
    return now < failures.last + pause_after(failures.count, first, longest)


def _closed(state: TableState, reached: Window | None) -> list[Window]:
    """The windows after the cursor's last one up to `reached`; at most as many as one look requests."""
    return list(islice(_newly_closed(state, reached), RUNS_A_LOOK)) if reached else []


def _newly_closed(state: TableState, reached: Window) -> Iterator[Window]:
    grid = state.calendar.grid
    if state.snapshot:
        yield from [reached] if not state.cursor.last or grid.from_key(state.cursor.last) < reached else []
    elif state.cursor.last:
        yield from grid.between(grid.after(grid.from_key(state.cursor.last)), reached)
    elif state.from_start:
        yield from grid.between(grid.floor(grid.start), reached)
    else:
        yield from state.calendar.back_from(reached, state.look_back)


def _overdue(state: TableState) -> list[Window]:
    """The windows that earlier looks requested and that are not in the table, of those that this look checks."""
    return [window for window in checked(state) if window.key not in state.loaded]


def _unloaded(state: TableState) -> Unloaded:
    grid, cursor = state.calendar.grid, state.cursor
    if state.by_clock:
        return Unloaded(grid)
    if state.snapshot:
        return Unloaded.between(grid, cursor.last, cursor.last)
    return Unloaded.between(grid, cursor.first or cursor.last, cursor.last, cursor.unloaded, cursor.going_on)


def _look_back(state: TableState, closed: list[Window]) -> list[Window]:
    """The requested windows that may have late records.

    A schedule counts back from the window that has just closed; if none has, there are no such windows. A sensor counts
    back from the last window that it requested.
    """
    if not state.cursor.last or (state.by_clock and not closed):
        return []
    last = state.calendar.grid.from_key(state.cursor.last)
    newest = state.calendar.grid.after(last) if state.by_clock else last
    return [window for window in state.calendar.back_from(newest, state.look_back) if window <= last]


def _changed(state: TableState, source: SourceState, closed: list[Window]) -> Iterator[tuple[Window, Reason]]:
    """The windows of the look-back to run; a sensor checks them only if the source's number of records changed."""
    if not state.by_clock and source.records == state.cursor.records:
        return
    for window in _unproven(state, source, _look_back(state, closed)):
        if window not in state.received:
            yield window, Reason.NOT_LOADED
        elif window in source.counts:
            yield window, Reason.COUNT_CHANGED
        elif state.by_clock:
            yield window, Reason.LOOK_BACK


def _unproven(state: TableState, source: SourceState, windows: list[Window]) -> Iterator[Window]:
    """The windows without a count at the source that equals the number of records received."""
    for window in windows:
        if window not in source.counts or source.counts[window] != state.received.get(window):
            yield window


def _may_run(state: TableState, window: Window, now: datetime) -> bool:
    # guard: only the newest window of a snapshot is requested
    if state.snapshot and not state.calendar.is_newest(window, now):
        return False
    # guard: pauses after failures
    return not pauses(window, state.failures.get(window), state.pause, now)


def _next_cursor(state: TableState, source: SourceState, passed: list[Window], unloaded: Unloaded) -> Cursor:
    last = passed[-1].key if passed else state.cursor.last
    return Cursor(source.records, last, unloaded.first or last, unloaded.text(last), unloaded.going_on)
