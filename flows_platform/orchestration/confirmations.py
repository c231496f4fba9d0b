"""Windows that wait for a confirmation: which there are, and which another pull may confirm by now."""

from collections.abc import Iterator
from datetime import datetime

from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.windows import Window
from flows_platform.orchestration.table import WindowedTable
from flows_platform.window_files.ledger import Withheld, ledger_of


def waiting(table: WindowedTable) -> dict[Window, Withheld]:
    """The windows whose last file was withheld, in order. The table has their old rows."""
    return dict(sorted(_of_the_grid(table), key=lambda pair: pair[0]))


def _of_the_grid(table: WindowedTable) -> Iterator[tuple[Window, Withheld]]:
    for key, withheld in ledger_of(table.folder).waiting().items():
        try:
            yield table.grid.from_key(key), withheld
        except ConfigurationError:  # of windows as they were once declared
            continue


def confirmable(table: WindowedTable, wall: datetime) -> dict[Window, Withheld]:
    """Those of the waiting windows that are to be pulled again at `wall`, the wall's clock."""
    pause = table.shrink_rule.pause
    return {each: withheld for each, withheld in waiting(table).items() if wall >= withheld.first_said + pause}


def occasion(withheld: Withheld, failures: int = 0) -> str:
    """What makes a run key of a window's next pull unlike those before."""
    return f"confirm-{withheld.at}-{failures}"
