"""Job, schedule and sensor of a windowed table. What is due is `due.py`'s; here it becomes run requests."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from flows_platform.domain.windows import Window, bounds_since
from flows_platform.fetch.counting import count_records
from flows_platform.resources import ApiResource
from flows_platform.windowed import metadata
from flows_platform.windowed.declaration import WindowedTable
from flows_platform.windowed.due import Calendar, Cursor, Latest, newly_closed

# A sensor's tick may take 60 s: it asks for so many runs, and the rest waits for the next tick.
RUNS_A_TICK = 24

type AssetJob = Any  # what define_asset_job gives; dagster does not export its type


def utc_now() -> datetime:
    """The clock of those who have no other."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Automation:
    """When the windows of a table are run. `latest` asks the source how far it is; `look_back` counts windows."""

    declaration: WindowedTable
    calendar: Calendar
    look_back: int
    latest: Callable[[ApiResource], Latest]
    now: Callable[[], datetime]


def windows_job(declaration: WindowedTable) -> AssetJob:
    """The job that fetches windows and replaces them in the warehouse."""
    return dg.define_asset_job(
        f"{declaration.table.name}_windows_job",
        selection=dg.AssetSelection.assets(declaration.staged_key, declaration.table_key),
        description="Fetch windows from the API and replace them in the warehouse.",
    )


def replay_job(declaration: WindowedTable) -> AssetJob:
    """The job that runs quarantined records through again, after a fix, and replaces their windows."""
    op = f"{declaration.table.name}_windows"
    return dg.define_asset_job(
        f"{declaration.table.name}_replay_job",
        selection=dg.AssetSelection.assets(declaration.staged_key, declaration.table_key),
        config={"ops": {op: {"config": {"replay": True}}}},
        description="Cast the windows' quarantined records again without fetching, and replace them in the warehouse.",
    )


def windows_schedule(automation: Automation, job: AssetJob) -> dg.ScheduleDefinition:
    """Every three hours, after the grace: the window that closed, and the look-back's once more."""
    calendar = automation.calendar

    @dg.schedule(
        name=f"{automation.declaration.table.name}_every_three_hours",
        cron_schedule=_cron(calendar),
        job=job,
        execution_timezone="UTC",
        description="The window that just closed, and the ones before it again, since records may come late.",
    )
    def tick(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        at = context.scheduled_execution_time.astimezone(UTC)
        closed = calendar.last_closed(at)
        if closed is None or closed != calendar.grid.closed(at, grace=calendar.grace):
            yield dg.SkipReason(f"no window closed at {at:%Y-%m-%d %H:%M}: the data set ends {calendar.end:%Y-%m-%d}.")
            return
        for window in calendar.back_from(closed, automation.look_back):
            yield _request(window, f"{at:%Y-%m-%dT%H:%M}")

    return tick


def _cron(calendar: Calendar) -> str:
    """At each window's end and the grace: `20 */3 * * *`, from a later hour for a grace beyond one."""
    hours, minutes = divmod(int(calendar.grace.total_seconds()) // 60, 60)
    return f"{minutes} {f'{hours}-23' if hours else '*'}/3 * * *"


def _request(window: Window, occasion: str) -> dg.RunRequest:
    # A run key is used up for ever, also by a run that fails: what occasioned the run is part of it.
    return dg.RunRequest(run_key=f"{window.key}@{occasion}", partition_key=window.key)


def windows_sensor(automation: Automation, job: AssetJob) -> dg.SensorDefinition:
    """Asks the source how far it is, and for the windows that closed or changed since."""

    @dg.sensor(
        name=f"{automation.declaration.table.name}_new_windows",
        job=job,
        minimum_interval_seconds=60,
        description="Polls the API: requests the windows that closed since the last look, and those of the look-back "
        "whose record count is no longer the one that was loaded. The first look starts at the newest windows: "
        "history is a backfill's.",
    )
    def look(context: dg.SensorEvaluationContext, api: ApiResource) -> dg.SensorResult | dg.SkipReason:
        return Look(automation, context.instance, api).result(Cursor.parse(context.cursor))

    return look


@dataclass(frozen=True, slots=True)
class Look:
    """One tick of the sensor."""

    automation: Automation
    instance: dg.DagsterInstance
    api: ApiResource

    def result(self, cursor: Cursor) -> dg.SensorResult | dg.SkipReason:
        """What to run, and what to remember."""
        latest = self.automation.latest(self.api)
        reached = self.automation.calendar.reached(self.automation.now(), latest)
        if reached is None:
            return dg.SkipReason(f"no window has closed yet; the API holds {latest.records:,} records.")
        fresh = list(newly_closed(self.automation.calendar, cursor, reached, self.automation.look_back))[:RUNS_A_TICK]
        changed = self._changed(cursor) if latest.records != cursor.records else []
        windows = sorted({*fresh, *changed})
        seen = Cursor(latest.records, fresh[-1].key if fresh else cursor.last)
        if not windows:
            return dg.SensorResult(skip_reason=f"nothing new in {latest.records:,} records.", cursor=seen.render())
        requests = [_request(window, str(latest.records)) for window in windows]
        return dg.SensorResult(run_requests=requests, cursor=seen.render())

    def _changed(self, cursor: Cursor) -> list[Window]:
        """Windows of the look-back that the source now counts otherwise than they were loaded."""
        if not cursor.last:
            return []
        calendar = self.automation.calendar
        seen = calendar.back_from(calendar.grid.from_key(cursor.last), self.automation.look_back)
        table = self.automation.declaration.table
        declaration = self.api.declaration(table.schema)
        with self.api.client() as client:
            return [
                window
                for window in seen
                if count_records(client, declaration, bounds_since(table.epoch, window), tries=self.api.tries)
                != self._loaded(window)
            ]

    def _loaded(self, window: Window) -> int | None:
        """The records of the window's last fetch, good ones and those set aside."""
        records = self.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=self.automation.declaration.staged_key, asset_partitions=[window.key]),
            limit=1,
        ).records
        materialization = records[0].asset_materialization if records else None
        if materialization is None:
            return None
        return sum(int(str(materialization.metadata[name].value)) for name in metadata.RECEIVED)
