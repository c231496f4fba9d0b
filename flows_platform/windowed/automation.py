"""Job, schedule and sensor of a windowed table. What is due is `due.py`'s; here it becomes run requests."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from flows_platform.domain.windows import Window
from flows_platform.fetch.latest import Latest, ask_latest
from flows_platform.resources import FetchResource
from flows_platform.windowed import metadata
from flows_platform.windowed.declaration import WindowedTable
from flows_platform.windowed.due import Cursor, newly_closed

# A sensor's tick may take 60 s: it asks for so many runs, and the rest waits for the next tick.
RUNS_A_TICK = 24

type AssetJob = Any  # what define_asset_job gives; dagster does not export its type


def utc_now() -> datetime:
    """The clock of those who have no other."""
    return datetime.now(UTC)


def windows_job(declaration: WindowedTable) -> AssetJob:
    """The job that fetches windows and replaces them in the warehouse."""
    return dg.define_asset_job(
        f"{declaration.table.name}_windows_job",
        selection=dg.AssetSelection.assets(*declaration.window_keys),
        description="Fetch windows from the API and replace them in the warehouse.",
    )


def replay_job(declaration: WindowedTable) -> AssetJob:
    """The job that runs quarantined records through again, after a fix, and replaces their windows."""
    op = f"{declaration.table.name}_windows"
    return dg.define_asset_job(
        f"{declaration.table.name}_replay_job",
        selection=dg.AssetSelection.assets(*declaration.window_keys),
        config={"ops": {op: {"config": {"replay": True}}}},
        description="Cast the windows' quarantined records again without fetching, and replace them in the warehouse.",
    )


def windows_schedule(declaration: WindowedTable, job: AssetJob) -> dg.ScheduleDefinition:
    """At the end of each window, after the grace: that window, and the look-back's once more."""
    calendar = declaration.calendar

    @dg.schedule(
        name=f"{declaration.table.name}_schedule",
        cron_schedule=declaration.cron.later(calendar.grace),
        job=job,
        execution_timezone=str(declaration.zone),
        description="The window that just closed, and the ones before it again, since records may come late.",
    )
    def tick(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        at = context.scheduled_execution_time.astimezone(UTC)
        closed = calendar.last_closed(at)
        if closed is None or closed != calendar.grid.closed(at, grace=calendar.grace):
            ends = f", they end {calendar.end:%Y-%m-%d}" if calendar.end else ""
            yield dg.SkipReason(
                f"no window closed at {at:%Y-%m-%d %H:%M}: they start {calendar.grid.start:%Y-%m-%d}{ends}."
            )
            return
        for window in calendar.back_from(closed, declaration.look_back):
            yield _request(window, f"{at:%Y-%m-%dT%H:%M}")

    return tick


def _request(window: Window, occasion: str) -> dg.RunRequest:
    # A run key is used up for ever, also by a run that fails: what occasioned the run is part of it.
    return dg.RunRequest(run_key=f"{window.key}@{occasion}", partition_key=window.key)


def windows_sensor(
    declaration: WindowedTable, job: AssetJob, now: Callable[[], datetime] = utc_now
) -> dg.SensorDefinition:
    """Asks the source how far it is, and for the windows that closed or changed since; `now` is its clock."""

    @dg.sensor(
        name=f"{declaration.table.name}_new_windows",
        job=job,
        minimum_interval_seconds=60,
        description="Requests the windows that closed since the last look, as far as the source has come, and those of "
        "the look-back whose record count is no longer the one that was loaded, where the source tells it. The first "
        "look starts at the newest windows: history is a backfill's.",
    )
    def look(context: dg.SensorEvaluationContext, fetch: FetchResource) -> dg.SensorResult | dg.SkipReason:
        return Look(declaration, context.instance, fetch, now()).result(Cursor.parse(context.cursor))

    return look


@dataclass(frozen=True, slots=True)
class Look:
    """One tick of the sensor, at `now`."""

    declaration: WindowedTable
    instance: dg.DagsterInstance
    fetch: FetchResource
    now: datetime

    def result(self, cursor: Cursor) -> dg.SensorResult | dg.SkipReason:
        """What to run, and what to remember."""
        calendar, look_back = self.declaration.calendar, self.declaration.look_back
        latest = self._latest()
        reached = calendar.reached(self.now, latest)
        if reached is None:
            return dg.SkipReason(f"no window has closed yet; the API holds {latest.records:,} records.")
        fresh = list(newly_closed(calendar, cursor, reached, look_back))[:RUNS_A_TICK]
        changed = self._changed(cursor) if latest.records != cursor.records else []
        windows = sorted({*fresh, *changed})
        seen = Cursor(latest.records, fresh[-1].key if fresh else cursor.last)
        if not windows:
            return dg.SensorResult(skip_reason=f"nothing new in {latest.records:,} records.", cursor=seen.render())
        requests = [_request(window, str(latest.records)) for window in windows]
        return dg.SensorResult(run_requests=requests, cursor=seen.render())

    def _latest(self) -> Latest:
        """How far the source is; one that does not tell is taken to be at the present, and never to change."""
        with self.fetch.client(self.declaration.gate) as client:
            return ask_latest(client, self.declaration.api(), tries=self.fetch.tries) or Latest(self.now, 0)

    def _changed(self, cursor: Cursor) -> list[Window]:
        """Windows of the look-back that the source now counts otherwise than they were loaded."""
        # Imported here: what reads records takes half a second that loading the definitions must not.
        from flows_platform.fetch.counting import count_records  # noqa: PLC0415

        if not cursor.last:
            return []
        calendar, api = self.declaration.calendar, self.declaration.api()
        seen = calendar.back_from(calendar.grid.from_key(cursor.last), self.declaration.look_back)
        with self.fetch.client(self.declaration.gate) as client:
            return [
                window
                for window in seen
                if count_records(client, api, window, tries=self.fetch.tries) not in {None, self._loaded(window)}
            ]

    def _loaded(self, window: Window) -> int:
        """The records of the window's last fetch, good ones and those set aside; -1 where there was none."""
        records = self.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=self.declaration.staged_key, asset_partitions=[window.key]), limit=1
        ).records
        materialization = records[0].asset_materialization if records else None
        if materialization is None:
            return -1
        return sum(int(str(materialization.metadata[name].value)) for name in metadata.RECEIVED)
