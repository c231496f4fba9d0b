"""The schedule of a windowed table: requests windows by the clock alone, for sources that say nothing of themselves."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg

from flows_platform.domain.wanted_windows import (
    Cursor,
    SourceState,
    TableState,
    candidates,
    compared,
    wanted_windows,
    worth_asking,
)
from flows_platform.domain.windows import Window
from flows_platform.orchestration.automation.new_windows_sensor import AssetJob
from flows_platform.orchestration.automation.requests import A_MINUTE, run_request
from flows_platform.orchestration.automation.table_state import received_of, source_counts
from flows_platform.orchestration.confirmations import confirmable
from flows_platform.orchestration.resources import FetchResource
from flows_platform.orchestration.table import WindowedTable
from flows_platform.orchestration.window_history import WindowRuns

EVERY_MINUTE = "* * * * *"


def windows_schedule(table: WindowedTable, job: AssetJob) -> dg.ScheduleDefinition:
    """At the end of every window, after the grace, requests that window and those of the look-back.

    With a simulated clock windows end at any time of the day, so the schedule checks every minute which ones did.
    """

    @dg.schedule(
        name=f"{table.name}_schedule",
        cron_schedule=EVERY_MINUTE if table.clock else table.cron.later(table.calendar.grace, table.zone),
        job=job,
        execution_timezone=str(table.zone),
        default_status=dg.DefaultScheduleStatus.RUNNING if table.clock else dg.DefaultScheduleStatus.STOPPED,
        description="Requests the window that just closed, the windows before it, since records may come late, and "
        "windows that have waited an hour for a confirmation.",
    )
    def tick(context: dg.ScheduleEvaluationContext, fetch: FetchResource) -> Iterator[dg.RunRequest | dg.SkipReason]:
        at = context.scheduled_execution_time.astimezone(UTC)
        now, runs = table.instant(at), WindowRuns(table, context.instance)
        state = TableState(
            calendar=table.calendar,
            look_back=table.look_back,
            cursor=Cursor(last=closed_before(table, at).key),
            by_clock=True,
            snapshot=table.snapshot,
            running=runs.on_the_way(),
            confirmable=confirmable(table, at),
        )
        if not candidates(state, now):
            yield _nothing_closed(table, now)
            return
        state = replace(state, received=received_of(runs, compared(state, now)))
        source = SourceState(now, counts=_counts(table, fetch, state, now))
        for window, reason in wanted_windows(state, source, now).run.items():
            yield run_request(window, reason, f"{at:%Y-%m-%dT%H:%M}")

    return tick


def closed_before(table: WindowedTable, at: datetime) -> Window:
    """The last window that closed before the tick `at` of the wall clock, also beyond the table's end."""
    calendar, grid = table.calendar, table.grid
    if table.clock is None:  # one window closes at every tick, also when the wall clock is changed
        return grid.before(grid.closed(at, grace=calendar.grace))
    return calendar.last_closed(table.instant(at - A_MINUTE)) or grid.before(grid.floor(grid.start))


def _counts(table: WindowedTable, fetch: FetchResource, state: TableState, now: datetime) -> dict[Window, int]:
    """Counts of the platform's own API. Other APIs' counts prove too little: their look-back is fetched again.

    A window without an answer counts as unchanged: its run would fail too, and the next tick asks again.
    """
    if not table.api().head_counts:
        return {}
    return source_counts(table, fetch, worth_asking(state, now), tries=1, unanswered=state.received)


def _nothing_closed(table: WindowedTable, now: datetime) -> dg.SkipReason:
    calendar = table.calendar
    ends = f", they end {calendar.end:%Y-%m-%d}" if calendar.end else ""
    return dg.SkipReason(f"no window closed at {now:%Y-%m-%d %H:%M}: they start {calendar.grid.start:%Y-%m-%d}{ends}.")
