"""Running a report: what a runner gives, the errors it raises, and a runner that is opened by its first report.

Loads no client of a warehouse; `engine` runs reports in BigQuery.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from flows_platform.domain.errors import Terminal, Transient
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.reports.values import Value

if TYPE_CHECKING:
    import pyarrow as pa


class TooManyRows(Terminal):
    """The answer has more rows than the report's `limits.rows`."""


class TooManyBytes(Terminal):
    """BigQuery would bill more bytes than the report's `limits.bytes_billed`."""


class NotComputable(Terminal):
    """The warehouse cannot compute the answer for the values of the request and the rows of its tables.

    Args:
        message: What is wrong, with the values.
        why: The same without values, which may be those of rows that the token may not see.
    """

    def __init__(self, message: str, why: str) -> None:
        super().__init__(message, remedy="Give other values.")
        self.why = why


class TooSlow(Terminal):
    """The query took longer than the report's `limits.seconds`, and was cancelled."""


class NoTable(Transient):
    """A table of the report does not exist yet: its first window creates it."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a report in its declared columns, the milliseconds its query took, and the bytes it read."""

    table: "pa.Table"
    milliseconds: float
    bytes_read: int = 0


class ReportRunner(Protocol):
    """Runs reports in a warehouse. Its methods may be called from any thread."""

    def run(self, report: ReportDeclaration, values: Mapping[str, Value], label: str = "", /) -> Rows:
        """Run a report.

        Args:
            report: The report, with its short form written out.
            values: The values of all its parameters. They are bound to the query, never written into its text.
            label: The name by which `cancel` finds the query.

        Raises:
            TooManyRows: the answer has more rows than the report allows.
            TooManyBytes: the query would read more bytes than the report allows.
            NotComputable: for example, a number or a time overflows, or the query needs too much memory.
            TooSlow: the query took longer than the report allows.
            NoTable: one of the report's tables does not exist yet.
            WarehouseUnavailable: the warehouse cannot answer now.
            PlatformError: the warehouse refused the query.
        """

    def cancel(self, label: str) -> bool:
        """Cancel the query with this label.

        Returns:
            Whether such a query was found. A runner that cannot cancel never finds one.

        Raises:
            PlatformError: the warehouse cannot be asked.
        """
        del label
        return False


class LazyRunner:
    """A runner that is opened by its first report: loading a warehouse's client takes a second and 60 MB.

    If opening fails, the next report tries again.

    Args:
        open_runner: Opens the runner.
    """

    def __init__(self, open_runner: Callable[[], ReportRunner]) -> None:
        self._open = open_runner
        self._runner: ReportRunner | None = None
        self._lock = Lock()

    def run(self, report: ReportDeclaration, values: Mapping[str, Value], label: str = "") -> Rows:
        """Run a report; see `ReportRunner.run`. Also raises the errors of opening the runner."""
        with self._lock:
            self._runner = self._runner or self._open()
        return self._runner.run(report, values, label)

    def cancel(self, label: str) -> bool:
        """Cancel a query; see `ReportRunner.cancel`. Before the runner is opened, there is none."""
        return self._runner is not None and self._runner.cancel(label)
