"""Jobs and sensor of a windowed table. What is due is `due.py`'s; here it becomes run requests."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from flows_platform.domain.windows import Window
from flows_platform.fetch.latest import Latest, ask_latest
from flows_platform.orchestration.automation.counts import SourceCounts
from flows_platform.orchestration.automation.due import Cursor, newly_closed, not_loaded, pause
from flows_platform.orchestration.checks import CHECKS
from flows_platform.orchestration.confirmations import confirmable, occasion
from flows_platform.orchestration.resources import FetchResource
from flows_platform.orchestration.table import WindowedTable
from flows_platform.orchestration.window_history import Failures, WindowRuns
from flows_platform.window_files.ledger import Withheld

# A sensor's tick may take 60 s: it asks for so many runs, and the rest waits for the next tick.
RUNS_A_TICK = 24
A_MINUTE = timedelta(minutes=1)
SHORTEST_INTERVAL = 5  # seconds from one round of Dagster's sensors to the next

type AssetJob = Any  # what define_asset_job gives; dagster does not export its type


def utc_now() -> datetime:
    """The clock of those who have no other."""
    return datetime.now(UTC)


def windows_job(declaration: WindowedTable) -> AssetJob:
    """The job that fetches windows and replaces them in the warehouse."""
    return dg.define_asset_job(
        declaration.windows_job,
        selection=_windows_alone(declaration),
        description="Fetch windows from the API and replace them in the warehouse.",
    )


def _windows_alone(declaration: WindowedTable) -> dg.AssetSelection:
    """The assets and the checks of each window. A run would plan the checks of all windows, and then skip them."""
    checks = (dg.AssetCheckKey(declaration.table_key, name) for name in CHECKS)
    return dg.AssetSelection.assets(*declaration.window_keys).without_checks() | dg.AssetSelection.checks(*checks)


def replay_job(declaration: WindowedTable) -> AssetJob:
    """The job that runs quarantined records through again, after a fix, and replaces their windows."""
    op = f"{declaration.table.name}_windows"
    return dg.define_asset_job(
        f"{declaration.table.name}_replay_job",
        selection=_windows_alone(declaration),
        config={"ops": {op: {"config": {"replay": True}}}},
        description="Cast the windows' quarantined records again without fetching, and replace them in the warehouse.",
    )


def interval(declaration: WindowedTable, usual: timedelta) -> int:
    """Seconds between two looks of a sensor that looks every `usual` while nothing is replayed."""
    return max(SHORTEST_INTERVAL, int(declaration.wall_time(usual).total_seconds()))


def status(declaration: WindowedTable) -> dg.DefaultSensorStatus:
    """Sensors of a replay run from the start: who begins one wants to see them."""
    return dg.DefaultSensorStatus.RUNNING if declaration.replay else dg.DefaultSensorStatus.STOPPED


def run_request(window: Window, occasion: str) -> dg.RunRequest:
    """A run of the window. A run key is used up for ever, also by a run that fails: the occasion is part of it."""
    return dg.RunRequest(run_key=f"{window.key}@{occasion}", partition_key=window.key)


def windows_sensor(
    declaration: WindowedTable, job: AssetJob, now: Callable[[], datetime] = utc_now
) -> dg.SensorDefinition:
    """Asks the source how far it is, and for the windows that closed or changed since; `now` is the wall's clock."""

    @dg.sensor(
        name=f"{declaration.table.name}_new_windows",
        job=job,
        minimum_interval_seconds=interval(declaration, A_MINUTE),
        default_status=status(declaration),
        description="Requests the windows that closed since the last look, as far as the source has come, those of the "
        "look-back whose record count is no longer the one that was loaded, where the source tells it, those whose "
        "runs failed, after pauses that double, and those that have waited an hour for a confirmation. The first look "
        "starts at the newest windows: history is a backfill's.",
    )
    def look(context: dg.SensorEvaluationContext, fetch: FetchResource) -> dg.SensorResult | dg.SkipReason:
        return Look(declaration, context.instance, fetch, now()).result(Cursor.parse(context.cursor))

    return look


@dataclass(frozen=True, slots=True)
class Look:
    """One tick of the sensor, at `now` of the wall's clock."""

    declaration: WindowedTable
    instance: dg.DagsterInstance
    fetch: FetchResource
    now: datetime

    def result(self, cursor: Cursor) -> dg.SensorResult | dg.SkipReason:
        """What to run, and what to remember."""
        latest = self._latest()
        reached = self.declaration.calendar.reached(self.declaration.instant(self.now), latest)
        if reached is None:
            return dg.SkipReason(f"no window has closed yet; the API holds {latest.records:,} records.")
        fresh, missing = self._fresh(cursor, reached), self._missing(cursor)
        seen = self._seen(latest, cursor, fresh, missing)
        changed = self._changed(cursor) if latest.records != cursor.records else []
        waited = confirmable(self.declaration, self.now)
        failures = {each: self._runs.failures(each) for each in {*fresh, *changed, *missing, *waited}}
        failed = (each for each in missing if failures[each].count)
        windows = self._free({*fresh, *changed, *failed, *waited}, failures)
        if not windows:
            return dg.SensorResult(skip_reason=f"nothing new in {latest.records:,} records.", cursor=seen.render())
        requests = [_request(window, latest, failures[window].count, waited.get(window)) for window in windows]
        return dg.SensorResult(run_requests=requests, cursor=seen.render())

    @property
    def _runs(self) -> WindowRuns:
        return WindowRuns(self.declaration, self.instance)

    def _latest(self) -> Latest:
        """How far the source is; one that does not tell is taken to be at the present, and never to change."""
        with self.fetch.client(self.declaration.gate) as client:
            told = ask_latest(client, self.declaration.api(), tries=self.fetch.tries)
        return told or Latest(self.declaration.instant(self.now), 0)

    def _fresh(self, cursor: Cursor, reached: Window) -> list[Window]:
        look_back = None if self.declaration.replay else self.declaration.look_back
        return list(newly_closed(self.declaration.calendar, cursor, reached, look_back))[:RUNS_A_TICK]

    def _missing(self, cursor: Cursor) -> list[Window]:
        return not_loaded(self.declaration.calendar, cursor, self._runs.loaded())

    def _seen(self, latest: Latest, cursor: Cursor, fresh: list[Window], missing: list[Window]) -> Cursor:
        last = fresh[-1].key if fresh else cursor.last
        unloaded = [*missing, *fresh]
        return Cursor(latest.records, last, unloaded[0].key if unloaded else last)

    def _changed(self, cursor: Cursor) -> list[Window]:
        """Windows of the look-back that the source now counts otherwise than they were loaded."""
        if not cursor.last:
            return []
        calendar = self.declaration.calendar
        seen = calendar.back_from(calendar.grid.from_key(cursor.last), self.declaration.look_back)
        busy = self._runs.on_the_way()
        counted = SourceCounts(self.declaration, self.fetch, self.fetch.tries)
        return [each for each in seen if each.key not in busy and counted.differs(each, self._runs.received(each))]

    def _free(self, windows: set[Window], failures: Mapping[Window, Failures]) -> list[Window]:
        """Those that no run is on, and that are not left alone after a failure; the oldest first."""
        busy = self._runs.on_the_way()
        # guard: windows that a run is on
        free = [each for each in sorted(windows) if each.key not in busy and self._may_run(each, failures[each])]
        return free[:RUNS_A_TICK]

    def _may_run(self, window: Window, failures: Failures) -> bool:
        first = timedelta(seconds=interval(self.declaration, A_MINUTE))
        longest = self.declaration.wall_time(window.end - window.start)
        # guard: pauses after failures
        return self.now >= failures.last + pause(failures.count, first, longest)


def _request(window: Window, latest: Latest, failed: int, waited: Withheld | None) -> dg.RunRequest:
    if waited:
        return run_request(window, occasion(waited, failed))
    return run_request(window, f"{latest.records}-{failed}" if failed else str(latest.records))
