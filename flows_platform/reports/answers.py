"""What a run of a report gives, and the errors that it may end with. Loads no client of a warehouse."""

from collections.abc import Mapping
from dataclasses import dataclass
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
    """The warehouse cannot compute the answer for the values of the request, over the data that there is.

    `why` says so without the values, which may be those of rows that the token does not see; the message has them.
    """

    def __init__(self, message: str, why: str) -> None:
        super().__init__(message, remedy="Give other values.")
        self.why = why


class TooSlow(Terminal):
    """The query took longer than the report's `limits.seconds`, and was cancelled."""


class NoTable(Transient):
    """A table of the report does not exist yet: its first window makes it."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a report, in the declared columns; the milliseconds that the query took, and the bytes it read."""

    table: "pa.Table"
    milliseconds: float
    bytes_read: int = 0


class Runs(Protocol):
    """What runs a report in a warehouse."""

    def run(self, report: ReportDeclaration, values: Mapping[str, Value], label: str = "", /) -> Rows:
        """The rows for these values, which are bound as parameters and never written into the statement.

        `label` names the query for `cancel`.

        Raises:
            TooManyRows: there are more than the report allows.
            TooManyBytes: the query would read more than the report allows.
            NotComputable: a number or a time overflows, say, or the query needs more memory than one may have.
            TooSlow: it took longer than the report allows.
            NoTable: a table does not exist yet.
            WarehouseUnavailable: the warehouse cannot answer now.
            PlatformError: it refused.
        """

    def cancel(self, label: str) -> bool:
        """Cancel the query of that label, from another thread; whether there was one. Here there never is.

        Raises:
            PlatformError: the warehouse cannot be asked.
        """
        del label
        return False
