"""The warehouse: a window's rows replaced at once, counted and digested where they rest.

The same code serves BigQuery and the emulator; endpoint and credentials are the client's. Statements, jobs, staging and
errors have their own modules. Here alone transient failures are retried: a read or a creation as it is, a window's
replacement as a whole, with a new staging table and new job ids, so that another try finds nothing half done.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import gcd
from pathlib import Path

from google.cloud import bigquery
from google.cloud.bigquery import ScalarQueryParameter
from google.cloud.bigquery.table import Row

from flows_platform.domain.errors import WarehouseUnavailable
from flows_platform.domain.schema import WarehouseTable
from flows_platform.domain.verification import MODULUS, RowDigest
from flows_platform.domain.windows import Window, WindowGrid
from flows_platform.local.emulator_credentials import EmulatorCredentials
from flows_platform.runtime.locks import exclusive
from flows_platform.runtime.retries import RetryingCaller
from flows_platform.warehouse import sql
from flows_platform.warehouse.jobs import NEVER, Deadline, Jobs, Parameters
from flows_platform.warehouse.replace_window import DerivedTable, Publication, Published, bounds_of, publish, recompute
from flows_platform.warehouse.schema import identifier
from flows_platform.warehouse.tables import Staging, ensure_dataset, ensure_target, utc_now
from flows_platform.window_files.check import check_staged_file

QUARTER = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class WindowFacts:
    """What the warehouse says of a window's rows; `misplaced` ones have a derived event time unlike epoch + time."""

    rows: int
    distinct_keys: int
    misplaced: int
    first: datetime | None
    last: datetime | None


def emulator_client(url: str, project: str, location: str, key_file: Path) -> bigquery.Client:
    """A client for the emulator at `url`, with the key in `key_file`, which is made where it does not exist yet.

    Raises:
        StorageError: the key file cannot be used.
    """
    return bigquery.Client(
        project=project,
        location=location,
        credentials=EmulatorCredentials(key_file),
        client_options={"api_endpoint": url},
    )


@dataclass(frozen=True, slots=True)
class Warehouse:
    """One dataset.

    `locks` is a folder that all publishers on this machine share. `timeout` is the seconds one job may take,
    `attempts` how often a transient failure is met before it is raised, `expiry` the age at which staging tables go.
    `deadline` is the seconds that all tries at one thing may take together: a window's replacement, or a query.
    """

    client: bigquery.Client
    dataset: str
    location: str
    locks: Path
    timeout: float = 600.0
    attempts: int = 4
    expiry: timedelta = timedelta(hours=6)
    now: Callable[[], datetime] = utc_now
    deadline: float = 1800.0
    _reference: bigquery.DatasetReference = field(init=False)

    def __post_init__(self) -> None:
        reference = bigquery.DatasetReference(self.client.project, identifier(self.dataset))
        object.__setattr__(self, "_reference", reference)

    def _jobs(self, deadline: Deadline = NEVER) -> Jobs:
        return Jobs(self.client, self._reference, self.location, self.timeout, deadline)

    def _staging(self, deadline: Deadline = NEVER) -> Staging:
        return Staging(self.client, self._reference, self.expiry, self.now, deadline)

    def _retrying[**P, T](self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        caller = RetryingCaller(
            attempts=self.attempts, timeout=self.deadline, wait_initial=0.5, wait_max=20.0, wait_jitter=1.0
        )
        return caller.on(WarehouseUnavailable)(call, *args, **kwargs)

    def ping(self) -> None:
        """Raises a PlatformError unless the warehouse answers a query."""
        self.select("SELECT 1", (), "asking the warehouse for a sign of life")

    def ensure_table(self, table: WarehouseTable) -> None:
        """Creates dataset and table if absent, and sweeps staging tables that killed runs left.

        Raises:
            ConfigurationError: a name that cannot be used, or a dataset in another location.
            WarehouseError: the table is there with other columns, partitioning or clustering.
        """
        identifier(table.name)
        # The emulator shows a table without its columns while another creates it; BigQuery does not.
        with exclusive(self.locks / f"{self.dataset}.lock"):
            self._retrying(ensure_dataset, self.client, self._reference, self.location)
            self._retrying(ensure_target, self.client, self._reference, table)
        self._retrying(self._staging().sweep, table)

    def replace_window(self, publication: Publication) -> Published:
        """Makes the window's rows those of the file, in one statement: readers see the old rows or the new ones.

        Raises:
            InputError: the file has other columns, other rows than were verified, or rows outside the window.
            WarehouseUnavailable: a failure that passes, after all attempts. The window is the old one or the new one.
            WarehouseError: the warehouse refused, or counted other rows than were sent.
        """
        check_staged_file(publication.table, publication.window, publication.parquet, publication.rows)
        deadline = Deadline(self.deadline)
        return self._retrying(publish, publication, self._jobs(deadline), self._staging(deadline), self.locks)

    def recompute_window(self, derived: DerivedTable, window: Window, run: str) -> Published:
        """Makes the derived table's window what its query gives, in one statement.

        Raises:
            WarehouseUnavailable: a failure that passes, after all attempts. The window is the old one or the new one.
            WarehouseError: the warehouse refused.
        """
        return self._retrying(recompute, derived, window, run, self._jobs(Deadline(self.deadline)), self.locks)

    def select(self, sql: str, parameters: Parameters, doing: str) -> list[Row]:
        """The rows of a query over the dataset's tables; `doing` is for messages."""
        return self._retrying(self._jobs(Deadline(self.deadline)).select, sql, parameters, doing)

    def count(self, table: WarehouseTable, window: Window | None = None) -> int:
        """The number of rows, by query: the emulator's table metadata still counts rows that were deleted."""
        statement = sql.count(table, _where(table, window))
        (row,) = self.select(statement, bounds_of(window), f"counting {table.name}")
        return int(row["row_count"])

    def digest(self, table: WarehouseTable, window: Window | None = None) -> RowDigest:
        """`RowDigest.of` the rows, without the event time, computed in the warehouse; up to 2^31 rows."""
        statement = sql.digest(table, _where(table, window))
        (row,) = self.select(statement, bounds_of(window), f"digesting {table.name}")
        return RowDigest(row["row_count"], (((row["upper"] or 0) << 32) + (row["lower"] or 0)) % MODULUS)

    def window_facts(self, table: WarehouseTable, window: Window | None = None) -> WindowFacts:
        """What the rows of the window, or all, say of themselves, in one query."""
        statement = sql.window_facts(table, _where(table, window))
        (row,) = self.select(statement, bounds_of(window), f"checking {table.name}")
        return WindowFacts(
            rows=row["row_count"],
            distinct_keys=row["distinct_keys"],
            misplaced=row["misplaced"],
            first=row["first_event"],
            last=row["last_event"],
        )

    def window_counts(self, table: WarehouseTable, grid: WindowGrid, within: Window | None = None) -> dict[Window, int]:
        """Rows of each window of `grid` that has any, or of those `within` some time, in order, in one query."""
        length = _slot(grid)
        parameters = (
            ScalarQueryParameter("origin", "INT64", int(grid.start.timestamp())),
            ScalarQueryParameter("length", "INT64", length // timedelta(seconds=1)),
            *bounds_of(within),
        )
        statement = sql.window_counts(table, _where(table, within))
        rows = self.select(statement, parameters, f"counting the windows of {table.name}")
        counts: Counter[Window] = Counter()
        for row in rows:
            counts[grid.floor(grid.start + row["slot"] * length)] += row["row_count"]
        return dict(counts)


def _slot(grid: WindowGrid) -> timedelta:
    """What the rows are counted by: a window, or a part of it where a clock is put on and back.

    All clocks of today differ from UTC by quarters of an hour.
    """
    if grid.zone is UTC:
        return grid.length
    seconds = gcd(grid.length // timedelta(seconds=1), QUARTER // timedelta(seconds=1))
    return timedelta(seconds=seconds)


def _where(table: WarehouseTable, window: Window | None) -> str:
    return sql.in_window(table) if window else "TRUE"
