"""Windows that wait for a confirmation, and which of them another fetch may confirm now."""

from collections.abc import Iterator
from datetime import datetime

from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.wanted_windows import Failures
from flows_platform.domain.windows import Window
from flows_platform.orchestration.table import WindowedTable
from flows_platform.window_files.ledger import Withheld, ledger_of


def waiting(table: WindowedTable) -> dict[Window, Withheld]:
    """The windows whose last file was withheld, in order. The table still has their old rows."""
    return dict(sorted(_of_the_grid(table), key=lambda pair: pair[0]))


def _of_the_grid(table: WindowedTable) -> Iterator[tuple[Window, Withheld]]:
    for key, withheld in ledger_of(table.folder).waiting().items():
        try:
            yield table.grid.from_key(key), withheld
        except ConfigurationError:  # a key of an earlier declaration's windows
            continue


def confirmable(table: WindowedTable, wall: datetime) -> dict[Window, Withheld]:
    """The waiting windows to fetch again when the wall clock shows `wall`; of a snapshot the newest at most."""
    pause, now = table.shrink_rule.pause, table.instant(wall)
    return {
        window: withheld
        for window, withheld in waiting(table).items()
        if wall >= withheld.first_said + pause and not (table.snapshot and not table.calendar.is_newest(window, now))
    }


def after(failures: Failures | None) -> str:
    """What distinguishes the run key of a window from those of its failed runs; empty if its last run did not fail.

    It is the last failure's time: the number of failures that are counted has a bound.
    """
    return f"-{failures.last.timestamp() * 1000:.0f}" if failures else ""


def occasion(withheld: Withheld, failures: Failures | None = None) -> str:
    """What distinguishes the run key of a window's next fetch from earlier ones."""
    return f"confirm-{withheld.at}{after(failures)}"
