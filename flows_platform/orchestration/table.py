"""The windowed table of a source; this package builds everything else from it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from flows_platform.domain.calendar import Calendar
from flows_platform.domain.cron import Cron
from flows_platform.domain.schema import WarehouseTable
from flows_platform.domain.shrinking import AN_HOUR, ShrinkRule
from flows_platform.domain.simulated_clock import SimulatedClock
from flows_platform.domain.windows import Window, WindowGrid
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.http.rate_limit import RateBudget, RateGate
from flows_platform.orchestration.metadata.charts import Chart, profile_plan
from flows_platform.orchestration.metadata.cloud_links import CloudConsole
from flows_platform.orchestration.metadata.figures import Metadata
from flows_platform.orchestration.partitions import window_partitions
from flows_platform.orchestration.resources import FetchResource, WarehouseResource
from flows_platform.reports.versions import Versions

if TYPE_CHECKING:
    from flows_platform.pipeline.window_pipeline import WindowFetch, WindowPipeline

# Writes a window to a sink and returns the sink's metadata; may be called again for the same window.
type Fill = Callable[[Window, str], Metadata]


OF_WINDOWS, OF_REPROCESSING = "_windows_job", "_reprocess_job"  # ends of the names of a table's jobs


def table_of_job(job: str) -> str | None:
    """The name of the table whose job has this name; None for other jobs."""
    return next((job.removesuffix(end) for end in (OF_WINDOWS, OF_REPROCESSING) if job.endswith(end)), None)


@dataclass(frozen=True, slots=True)
class Sink:
    """Another asset that windows are written to, from their files or from the table (`of_table`).

    `open` takes the run's pipeline and returns, for the length of the run, the function that writes a window, given
    window and run id. `charts` draws metadata for the last window of a run; `metadata` is the asset's own.
    """

    name: str
    description: str
    kinds: frozenset[str]
    open: Callable[["WindowPipeline"], AbstractContextManager[Fill]]
    metadata: Mapping[str, object]
    of_table: bool = False
    charts: Callable[["WindowPipeline", Window], Metadata] | None = None

    @property
    def key(self) -> dg.AssetKey:
        return dg.AssetKey(self.name)


@dataclass(frozen=True, slots=True)
class WindowedTable:
    """A table that is filled window by window: the names of its assets, their upstream, and how they are run.

    `files_asset` names the asset of window files, `table.name` the asset in BigQuery, and `upstream` the assets that
    the API serves from. `api` reads the secrets when it is called. `folder` holds the window files, `locks` the files
    that processes share, and `raw_pulls` the raw answers, kept for the time `keep_raw`. `dataset` is the table's
    dataset with its project, for people. `look_back` is the number of closed windows that are fetched again. `clock` is
    a simulated one; without it, the table follows the wall clock. `moving` means that records move to a later window
    when they change. `snapshot` means that the API gives its list of now, whichever window is asked for. `shrink` is
    the share of its rows that a window may lose without a second fetch. `sinks` are other assets that windows are
    written to. `charts` show columns of the table, `cloud_console` has links to it, and `declared_in` is the file of
    its declaration, `endpoint` the API's URL in it, `versions` the file with the version of
    each table's data, and `changes` the URL of the source's numbered changes, if it has some. `beside` gives what
    Dagster sees besides the table.
    """

    files_asset: str
    table: WarehouseTable
    api: Callable[[], WindowedApi]
    cron: Cron
    calendar: Calendar
    group: str
    owners: tuple[str, ...]
    folder: Path
    locks: Path
    raw_pulls: Path
    dataset: str
    windows_per_run: int
    look_back: int
    upstream: tuple[str, ...] = ()
    rate: RateBudget | None = None
    keep_raw: timedelta | None = None
    moving: bool = False
    snapshot: bool = False
    shrink: float = 0.5
    clock: SimulatedClock | None = None
    sinks: tuple[Sink, ...] = ()
    charts: tuple[Chart, ...] = ()
    cloud_console: CloudConsole | None = None
    declared_in: Path | None = None
    endpoint: str = ""
    versions: Path | None = None
    changes: str = ""
    beside: Callable[[], dg.Definitions] | None = None

    @property
    def name(self) -> str:
        """The name of the table and of its asset."""
        return self.table.name

    @property
    def grid(self) -> WindowGrid:
        return self.calendar.grid

    @property
    def zone(self) -> tzinfo:
        return self.grid.zone

    @property
    def partitions(self) -> dg.TimeWindowPartitionsDefinition:
        return window_partitions(self.cron.text, self.grid.start, self.calendar.end, self.zone)

    @property
    def files_key(self) -> dg.AssetKey:
        return dg.AssetKey(self.files_asset)

    @property
    def table_key(self) -> dg.AssetKey:
        return dg.AssetKey(self.table.name)

    @property
    def window_keys(self) -> tuple[dg.AssetKey, ...]:
        """The assets that a run of a window materialises."""
        # guard: sinks in the job
        return (self.files_key, self.table_key, *(sink.key for sink in self.sinks))

    @property
    def windows_job(self) -> str:
        """The name of the job that fetches windows and replaces them."""
        return f"{self.table.name}{OF_WINDOWS}"

    @property
    def reprocess_job(self) -> str:
        """The name of the job that reprocesses quarantined records."""
        return f"{self.table.name}{OF_REPROCESSING}"

    def instant(self, wall: datetime) -> datetime:
        """The instant in data time when the wall clock shows `wall`."""
        return self.table.schema.epoch + self.clock.elapsed(wall) if self.clock else wall

    def wall_time(self, span: timedelta) -> timedelta:
        """A span of data time as time on the wall clock."""
        return self.clock.wall_time(span) if self.clock else span

    def data_time(self, span: timedelta) -> timedelta:
        """A span of the wall clock as data time."""
        return self.clock.data_time(span) if self.clock else span

    @property
    def shrink_rule(self) -> ShrinkRule:
        """When a window may lose rows."""
        return ShrinkRule(self.shrink, self.moving, self.wall_time(AN_HOUR), snapshot=self.snapshot)

    @property
    def gate(self) -> RateGate | None:
        """The gate that keeps all processes of this machine within the API's rate."""
        return RateGate(self.rate, self.locks, self.table.name) if self.rate else None

    @contextmanager
    def fetching(self, fetch: FetchResource) -> Iterator["WindowFetch"]:
        """Fetching for one run, without a warehouse."""
        # Imported here: BigQuery's clients take seconds, too long for loading the definitions.
        from flows_platform.pipeline.window_pipeline import WindowFetch  # noqa: PLC0415

        api = self.api()
        with fetch.client(api, self.gate) as client:
            yield WindowFetch(client=client, api=api, **self._how(fetch))

    @contextmanager
    def pipeline(self, fetch: FetchResource, warehouse: WarehouseResource) -> Iterator["WindowPipeline"]:
        """The windows' pipeline for one run."""
        from flows_platform.pipeline.window_pipeline import WindowPipeline  # noqa: PLC0415 - as above

        api = self.api()
        with fetch.client(api, self.gate) as client, warehouse.warehouse() as opened:
            yield WindowPipeline(
                client=client,
                api=api,
                table=self.table,
                warehouse=opened,
                shrink=self.shrink_rule,
                versions=Versions(self.versions) if self.versions else None,
                **self._how(fetch),
            )

    def _how(self, fetch: FetchResource) -> dict[str, Any]:
        return {
            "folder": self.folder,
            "tries": fetch.tries,
            "max_rejected": fetch.max_rejected,
            "max_rejected_share": fetch.max_rejected_share,
            "raw_pulls": self.raw_pulls if self.keep_raw else None,
            "keep_raw": self.keep_raw,
            "profile": partial(profile_plan, self.charts),
        }
