"""The sensor of a table whose source numbers its changes: it requests the windows that changed since they were read.

A count does not show everything: the detail of a record may come after its window was loaded.
"""

from collections.abc import Callable, Collection
from datetime import datetime

import dagster as dg

from flows_platform.domain.changed_windows import ChangeCursor, changed_windows, windows_of
from flows_platform.domain.wanted_windows import Reason, pauses
from flows_platform.domain.windows import Window
from flows_platform.fetch.changes import Changes, ask_changes
from flows_platform.orchestration.automation.new_windows_sensor import AssetJob
from flows_platform.orchestration.automation.requests import (
    A_MINUTE,
    first_pause,
    interval,
    run_request,
    status,
    utc_now,
)
from flows_platform.orchestration.confirmations import after
from flows_platform.orchestration.resources import FetchResource
from flows_platform.orchestration.table import WindowedTable
from flows_platform.orchestration.window_history import WindowRuns

CLOCKS_DIFFER = 60.0  # seconds by which the source's clock may be behind ours


def changed_windows_sensor(
    table: WindowedTable, job: AssetJob, now: Callable[[], datetime] = utc_now
) -> dg.SensorDefinition:
    """Requests the windows in the table that changed; `now` is the wall clock."""

    @dg.sensor(
        name=f"{table.name}_changed_windows",
        job=job,
        minimum_interval_seconds=interval(table, A_MINUTE),
        default_status=status(table),
        description="Requests the windows in the table that got records, or details of records, since they were read.",
    )
    def look(context: dg.SensorEvaluationContext, fetch: FetchResource) -> dg.SensorResult:
        return changed(table, context.instance, fetch, now(), ChangeCursor.parse(context.cursor))

    return look


def changed(
    table: WindowedTable, instance: dg.DagsterInstance, fetch: FetchResource, wall: datetime, cursor: ChangeCursor
) -> dg.SensorResult:
    """One tick of the sensor, when the wall clock shows `wall`: what to run, and what to remember."""
    found = _changes(table, fetch, cursor)
    windows = windows_of(table.grid, found.changes)
    runs = WindowRuns(table, instance)
    running = runs.on_the_way()  # before what is loaded: a run that ends in between is not in it
    loaded = runs.loaded(windows)
    # A window that is not in the table needs no run for a change: what loads it reads everything.
    stale = [
        window
        for window, changes in windows.items()
        if window.key in loaded
        and not runs.is_loaded_since(window, changes[-1].seconds + CLOCKS_DIFFER)
        and not _is_among(runs.loaded_by(window), window, found.journal, changes[-1].number)
    ]
    failures = {window: runs.failures(window) for window in stale}
    first, now = first_pause(table, A_MINUTE), table.instant(wall)
    paused = {window.key for window in stale if pauses(window, failures[window], first, now)}
    busy = paused | {window.key for window in windows if window.key in running}
    wanted = changed_windows(windows, found.number, stale, busy)
    requests = [
        run_request(window, Reason.CHANGED, f"{found.journal}-{number}{after(failures[window])}")
        for window, number in wanted.run.items()
    ]
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else f"no window in the table changed up to change {found.number:,}.",
        cursor=ChangeCursor(found.journal, wanted.number).render(),
    )


def _is_among(run_keys: Collection[str], window: Window, journal: str, number: int) -> bool:
    """Whether one of these runs was requested for this change, whatever failed before it."""
    requested = f"{window.key}@{journal}-{number}"
    return any(key == requested or key.startswith(f"{requested}-") for key in run_keys)


def _changes(table: WindowedTable, fetch: FetchResource, cursor: ChangeCursor) -> Changes:
    """What changed since the last tick; all there is at the first one, and where another journal counts."""
    api = table.api()
    with fetch.client(api, table.gate) as client:
        found = ask_changes(client, api, table.changes, cursor.number, tries=fetch.tries)
        # guard: another journal counts from the start
        if found.journal != cursor.journal and cursor.number:
            return ask_changes(client, api, table.changes, 0, tries=fetch.tries)
        return found
