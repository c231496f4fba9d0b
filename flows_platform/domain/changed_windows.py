"""Which windows in the table a source has changed since, by the numbers that the source gives to its changes. Pure."""

import json
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from flows_platform.domain.wanted_windows import RUNS_A_LOOK
from flows_platform.domain.windows import Window, WindowGrid


@dataclass(frozen=True, slots=True)
class ChangeCursor:
    """The number of the last change that a look has dealt with, and the journal that counts."""

    journal: str = ""
    number: int = 0

    @classmethod
    def parse(cls, text: str | None) -> "ChangeCursor":
        """Read what `render` wrote; before the first look, an empty cursor."""
        return cls(**json.loads(text)) if text else cls()

    def render(self) -> str:
        """The cursor as JSON."""
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the source.

    Args:
        created: When the records were created that came, or whose details are known.
        number: Its number.
        seconds: When it was, in seconds since 1970.
    """

    created: datetime
    number: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ChangedWindows:
    """The windows to run, with the number of their last change, and the number up to which all is dealt with."""

    run: dict[Window, int]
    number: int


def windows_of(grid: WindowGrid, changes: Iterable[Change]) -> dict[Window, list[Change]]:
    """The windows of changes, with these in the order of their numbers. Those before the first window are left out."""
    found: dict[Window, list[Change]] = {}
    for change in sorted(changes, key=lambda change: change.number):
        if change.created >= grid.start:
            found.setdefault(grid.floor(change.created), []).append(change)
    return found


def changed_windows(
    changes: Mapping[Window, Sequence[Change]], number: int, stale: Collection[Window], running: Container[str]
) -> ChangedWindows:
    """The windows that need a run.

    A change is asked for again at the next look until a run that began after it has loaded its window: a run may have
    read the window before, or may fail.

    Args:
        changes: The changes of windows.
        number: The number of the last change.
        stale: The windows that were read before their last change.
        running: Keys of the windows that a run works on, or that pause after a failure.
    """
    # guard: a change is not forgotten while a run works on its window
    later = {window for window in changes if window.key in running}
    free = sorted((changes[window][-1].number, window) for window in stale if window not in later)
    # guard: a change is not forgotten before its window is loaded
    later |= {window for _, window in free}
    reached = min([number, *(changes[window][0].number - 1 for window in later)])
    return ChangedWindows({window: last for last, window in free[:RUNS_A_LOOK]}, reached)
