"""What the instance knows of windows: which are being loaded, what they received, how often they failed since."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg

from flows_platform.domain.lag import KeysOf
from flows_platform.domain.wanted_windows import Failures
from flows_platform.domain.windows import Window
from flows_platform.orchestration.metadata import figures
from flows_platform.orchestration.partitions import PARTITION, RANGE_END, RANGE_START
from flows_platform.orchestration.table import WindowedTable

AUTOMATED = {"dagster/sensor_name", "dagster/schedule_name"}
RUN_KEY = "dagster/run_key"
STATUS = dg.DagsterRunStatus
UNFINISHED = [STATUS.QUEUED, STATUS.NOT_STARTED, STATUS.STARTING, STATUS.STARTED, STATUS.CANCELING]
RUNS_LOOKED_AT = 64  # of a window, to find that of a request
FAILURES_COUNTED = 16  # a pause doubled this often is longer than any that is useful


@dataclass(frozen=True, slots=True)
class WindowRuns:
    """The runs on the windows of one table."""

    table: WindowedTable
    instance: dg.DagsterInstance

    def on_the_way(self) -> KeysOf:
        """The windows that an unfinished run will load. The backfill of ten years may have thousands of queued runs."""
        windows = 0
        for run in self.instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)):
            if self._is_on_table(run):
                windows |= self._windows(run)
        return KeysOf(self.table.grid, windows)

    def _is_on_table(self, run: dg.DagsterRun) -> bool:
        return run.job_name == self.table.windows_job or self.table.table_key in (run.asset_selection or ())

    def _windows(self, run: dg.DagsterRun) -> int:
        """The run's windows as a set; an empty one if they are those of an earlier declaration."""
        one = run.tags.get(PARTITION, "")
        first, last = (self.table.grid.number_of_key(run.tags.get(name, one)) for name in (RANGE_START, RANGE_END))
        return 0 if first is None or last is None else max(0, (1 << last + 1) - (1 << first))

    def loaded(self, windows: Collection[Window]) -> set[str]:
        """Keys of those of these windows, some hundreds at most, that are in the table."""
        if not windows:
            return set()
        kind = dg.DagsterEventType.ASSET_MATERIALIZATION
        keys = {window.key for window in windows}
        return {*self.instance.get_latest_storage_id_by_partition(self.table.table_key, kind, keys)}

    def received(self, window: Window) -> int | None:
        """The number of records in the window's last fetch, good and rejected; None if it was never fetched."""
        record = self._last(self.table.files_key, window)
        materialization = record.asset_materialization if record else None
        if materialization is None:
            return None
        return sum(int(str(materialization.metadata[name].value)) for name in figures.RECEIVED)

    def failures(self, window: Window) -> Failures | None:
        """The window's most recent failures in a row, in data time; None if its last run did not fail."""
        chosen = dg.RunsFilter(job_name=self.table.windows_job, tags={PARTITION: window.key})
        ended = []
        for record in self.instance.get_run_records(chosen, limit=FAILURES_COUNTED):
            if record.dagster_run.status not in {STATUS.FAILURE, STATUS.CANCELED}:
                break
            ended.append(record.end_time or record.update_timestamp.timestamp())
        if not ended:
            return None
        return Failures(len(ended), self.table.instant(datetime.fromtimestamp(max(ended), UTC)))

    def loaded_by(self, window: Window) -> set[str]:
        """The run keys of the window's last runs that succeeded."""
        chosen = dg.RunsFilter(job_name=self.table.windows_job, tags={PARTITION: window.key}, statuses=[STATUS.SUCCESS])
        return {run.tags.get(RUN_KEY, "") for run in self.instance.get_runs(chosen, limit=RUNS_LOOKED_AT)}

    def asked_at(self, run: dg.DagsterRun) -> float | None:
        """The timestamp at which a schedule or sensor requested the run; None if a person started it."""
        record = self.instance.get_run_record_by_id(run.run_id) if AUTOMATED & run.tags.keys() else None
        return record.create_timestamp.timestamp() if record else None

    def is_loaded_since(self, window: Window, asked: float) -> bool:
        """Whether a run that began after `asked` has loaded the window into the table."""
        record = self._last(self.table.table_key, window)
        run = self.instance.get_run_record_by_id(record.run_id) if record else None
        return run is not None and (run.start_time or 0) > asked

    def _last(self, asset: dg.AssetKey, window: Window) -> dg.EventLogRecord | None:
        chosen = dg.AssetRecordsFilter(asset_key=asset, asset_partitions=[window.key])
        return next(iter(self.instance.fetch_materializations(chosen, limit=1).records), None)
