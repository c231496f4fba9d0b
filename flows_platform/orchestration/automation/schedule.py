"""The schedule of a windowed table: windows by the clock alone, also where the source tells nothing of itself."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg

from flows_platform.domain.errors import Transient
from flows_platform.domain.windows import Window
from flows_platform.orchestration.automation.counts import SourceCounts
from flows_platform.orchestration.automation.new_windows_sensor import A_MINUTE, RUNS_A_TICK, AssetJob, run_request
from flows_platform.orchestration.confirmations import confirmable
from flows_platform.orchestration.resources import FetchResource
from flows_platform.orchestration.table import WindowedTable
from flows_platform.orchestration.window_history import WindowRuns

EVERY_MINUTE = "* * * * *"


def windows_schedule(declaration: WindowedTable, job: AssetJob) -> dg.ScheduleDefinition:
    """At the end of each window, after the grace: that window, and the look-back's once more.

    A replay's windows end at no mark of the wall's clock: its schedule looks each minute which ones did.
    """

    @dg.schedule(
        name=f"{declaration.table.name}_schedule",
        cron_schedule=EVERY_MINUTE if declaration.replay else declaration.cron.later(declaration.calendar.grace),
        job=job,
        execution_timezone=str(declaration.zone),
        default_status=dg.DefaultScheduleStatus.RUNNING if declaration.replay else dg.DefaultScheduleStatus.STOPPED,
        description="The window that just closed, and the ones before it again, since records may come late; and those "
        "that have waited an hour for a confirmation.",
    )
    def tick(context: dg.ScheduleEvaluationContext, fetch: FetchResource) -> Iterator[dg.RunRequest | dg.SkipReason]:
        at = context.scheduled_execution_time.astimezone(UTC)
        closed, waited = closed_at(declaration, at), confirmable(declaration, at)
        if not closed and not waited:
            yield _nothing_closed(declaration, at)
            return
        due = Due(WindowRuns(declaration, context.instance), SourceCounts(declaration, fetch, tries=1), waited)
        for window in due.of(sorted({*closed, *waited}))[:RUNS_A_TICK]:
            yield run_request(window, f"{at:%Y-%m-%dT%H:%M}")

    return tick


def closed_at(declaration: WindowedTable, at: datetime) -> list[Window]:
    """The windows that closed with the tick `at` of the wall's clock, and those of the look-back before; or none."""
    calendar, instant = declaration.calendar, declaration.instant(at)
    closed = calendar.last_closed(instant)
    if declaration.replay is None:
        is_new = closed is not None and closed == calendar.grid.closed(instant, grace=calendar.grace)
        return calendar.back_from(closed, declaration.look_back) if closed and is_new else []
    before = calendar.last_closed(declaration.instant(at - A_MINUTE))
    if closed is None or closed == before:
        return []
    first = calendar.grid.after(before) if before else calendar.grid.floor(calendar.grid.start)
    return [*calendar.back_from(first, declaration.look_back)[:-1], *calendar.grid.between(first, closed)]


def _nothing_closed(declaration: WindowedTable, at: datetime) -> dg.SkipReason:
    calendar, instant = declaration.calendar, declaration.instant(at)
    ends = f", they end {calendar.end:%Y-%m-%d}" if calendar.end else ""
    return dg.SkipReason(
        f"no window closed at {instant:%Y-%m-%d %H:%M}: they start {calendar.grid.start:%Y-%m-%d}{ends}."
    )


@dataclass(frozen=True, slots=True)
class Due:
    """Which windows a tick asks for: not those that a run is on, nor those that our own API counts as they are loaded.

    Others' counts prove too little: there the look-back is read again. Windows that have `waited` for a confirmation
    are asked for whatever is counted.
    """

    runs: WindowRuns
    counts: SourceCounts
    waited: Collection[Window] = ()

    def of(self, windows: list[Window]) -> list[Window]:
        """Those of `windows` that want a run."""
        busy = self.runs.on_the_way()
        return [window for window in windows if window.key not in busy and self._wants_run(window)]

    def _wants_run(self, window: Window) -> bool:
        received = self.runs.received(window)
        if received < 0 or window in self.waited or not self.counts.declaration.api().head_counts:
            return True
        try:
            return self.counts.differs(window, received)
        except Transient:  # a run would fail likewise; the next look, or the sensor of differing windows, sees it
            return False
