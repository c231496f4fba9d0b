"""The warehouse: replaces a window's rows atomically, and counts and digests rows in BigQuery.

The same code serves BigQuery and the emulator; only the client's endpoint and credentials differ. Transient failures
are retried here and nowhere else. A window's replacement is retried as a whole, with a new staging table and new job
ids, so that no attempt depends on what another left behind.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import gcd
from pathlib import Path

from google.auth.transport.requests import AuthorizedSession
from google.cloud import bigquery
from google.cloud.bigquery import ScalarQueryParameter
from google.cloud.bigquery.table import Row

from flows_platform.domain.errors import WarehouseUnavailable
from flows_platform.domain.schema import WarehouseTable
from flows_platform.domain.verification import MODULUS, RowDigest
from flows_platform.domain.window_length import Months
from flows_platform.domain.windows import Window, WindowGrid
from flows_platform.local.emulator_credentials import EmulatorCredentials
from flows_platform.runtime.locks import exclusive
from flows_platform.runtime.retries import RetryingCaller
from flows_platform.warehouse import sql
from flows_platform.warehouse.jobs import NEVER, Deadline, Jobs, Parameters
from flows_platform.warehouse.replace_window import DerivedTable, Publication, Published, bounds_of, publish, recompute
from flows_platform.warehouse.schema import identifier
from flows_platform.warehouse.tables import Staging, ensure_dataset, ensure_target, utc_now

QUARTER, DAY = timedelta(minutes=15), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class WindowSummary:
    """Figures of a window's rows in the warehouse; `misplaced` rows have an event time other than epoch + time."""

    rows: int
    distinct_keys: int
    misplaced: int
    first: datetime | None
    last: datetime | None


def emulator_client(url: str, project: str, location: str, key_file: Path) -> bigquery.Client:
    """A client for the emulator at `url`, with the key in `key_file`; a missing key file is created.

    Raises:
        StorageError: the key file cannot be used.
    """
    credentials = EmulatorCredentials(key_file)
    session = AuthorizedSession(credentials)
    # guard: no proxy sees the emulator
    session.trust_env = False
    return bigquery.Client(
        project=project,
        location=location,
        credentials=credentials,
        _http=session,
        client_options={"api_endpoint": url},
    )


@dataclass(frozen=True, slots=True)
class Warehouse:
    """One dataset.

    `locks` is a folder that all publishers on this machine share. One job may take `timeout` seconds. An operation (a
    window's replacement, or a query) has `attempts` tries, which may take `deadline` seconds together. Staging tables
    are dropped at the age `expiry`.
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
        """Raise a PlatformError unless the warehouse answers a query."""
        self.select("SELECT 1", (), "asking the warehouse for a sign of life")

    def ensure_table(self, table: WarehouseTable) -> None:
        """Create dataset and table if they are absent, and drop staging tables that killed runs left behind.

        Raises:
            ConfigurationError: a name cannot be used, or the dataset is in another location.
            WarehouseError: the table exists with other columns, partitioning or clustering.
        """
        identifier(table.name)
        # The emulator shows a table without its columns while another process creates it; BigQuery does not.
        with exclusive(self.locks / f"{self.dataset}.lock"):
            self._retrying(ensure_dataset, self.client, self._reference, self.location)
            self._retrying(ensure_target, self.client, self._reference, table)
        self._retrying(self._staging().sweep, table)

    def replace_window(self, publication: Publication) -> Published:
        """Replace the window's rows with those of the file, in one statement: readers see the old or the new rows.

        Raises:
            WarehouseUnavailable: a transient failure, after all attempts. The window has its old rows or the new ones.
            WarehouseError: the warehouse refused, or counted another number of rows than were sent.
        """
        deadline = Deadline(self.deadline)
        return self._retrying(publish, publication, self._jobs(deadline), self._staging(deadline), self.locks)

    def recompute_window(self, derived: DerivedTable, window: Window, run: str) -> Published:
        """Replace the derived table's window with the rows of its query, in one statement.

        Raises:
            WarehouseUnavailable: a transient failure, after all attempts. The window has its old rows or the new ones.
            WarehouseError: the warehouse refused.
        """
        return self._retrying(recompute, derived, window, run, self._jobs(Deadline(self.deadline)), self.locks)

    def select(self, sql: str, parameters: Parameters, doing: str) -> list[Row]:
        """The rows of a query over the dataset's tables; `doing` is for messages."""
        return self._retrying(self._jobs(Deadline(self.deadline)).select, sql, parameters, doing)

    def count(self, table: WarehouseTable, window: Window | None = None) -> int:
        """The number of rows, by query: the emulator's table metadata still counts deleted rows."""
        statement = sql.count(table, _where(table, window))
        (row,) = self.select(statement, bounds_of(window), f"counting {table.name}")
        return int(row["row_count"])

    def digest(self, table: WarehouseTable, window: Window | None = None) -> RowDigest:
        """`RowDigest.of` the rows without the event time, computed in the warehouse; for at most 2^31 rows."""
        statement = sql.digest(table, _where(table, window))
        (row,) = self.select(statement, bounds_of(window), f"digesting {table.name}")
        return RowDigest(row["row_count"], (((row["upper"] or 0) << 32) + (row["lower"] or 0)) % MODULUS)

    def window_summary(self, table: WarehouseTable, window: Window | None = None) -> WindowSummary:
        """Figures of the window's rows, or of all rows, in one query."""
        statement = sql.window_summary(table, _where(table, window))
        (row,) = self.select(statement, bounds_of(window), f"checking {table.name}")
        return WindowSummary(
            rows=row["row_count"],
            distinct_keys=row["distinct_keys"],
            misplaced=row["misplaced"],
            first=row["first_event"],
            last=row["last_event"],
        )

    def window_counts(self, table: WarehouseTable, grid: WindowGrid, within: Window | None = None) -> dict[Window, int]:
        """Row counts by window of `grid`, in order, without empty windows; of all rows, or those `within` a range."""
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
    """The length of time by which rows are counted: a window's, a day of a month, or less where the clock changes.

    All current time zones differ from UTC by a multiple of a quarter of an hour.
    """
    if isinstance(grid.length, Months):
        return DAY if grid.zone is UTC else QUARTER
    if grid.zone is UTC:
        return grid.length
    seconds = gcd(grid.length // timedelta(seconds=1), QUARTER // timedelta(seconds=1))
    return timedelta(seconds=seconds)


def _where(table: WarehouseTable, window: Window | None) -> str:
    return sql.in_window(table) if window else "TRUE"
