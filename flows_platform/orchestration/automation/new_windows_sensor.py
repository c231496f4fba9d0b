"""Jobs of a windowed table, and the sensor that requests the windows named by `domain.wanted_windows`."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import dagster as dg

from flows_platform.domain.wanted_windows import Cursor, Failures, SourceState, Wanted, wanted_windows, worth_asking
from flows_platform.fetch.latest import Latest, ask_latest
from flows_platform.orchestration.automation.requests import A_MINUTE, interval, run_request, status, utc_now
from flows_platform.orchestration.automation.table_state import source_counts, table_state
from flows_platform.orchestration.checks import CHECKS
from flows_platform.orchestration.confirmations import after, confirmable, occasion
from flows_platform.orchestration.resources import FetchResource
from flows_platform.orchestration.table import WindowedTable
from flows_platform.window_files.ledger import Withheld

type AssetJob = Any  # the result of define_asset_job; Dagster does not export its type


def windows_job(table: WindowedTable) -> AssetJob:
    """The job that fetches windows and replaces them in the warehouse."""
    return dg.define_asset_job(
        table.windows_job,
        selection=_windows_alone(table),
        description="Fetch windows from the API and replace them in the warehouse.",
    )


def _windows_alone(table: WindowedTable) -> dg.AssetSelection:
    """The assets and the window checks, without the checks of the whole table: a run would plan and then skip them."""
    checks = (dg.AssetCheckKey(table.table_key, name) for name in CHECKS)
    return dg.AssetSelection.assets(*table.window_keys).without_checks() | dg.AssetSelection.checks(*checks)


def reprocess_job(table: WindowedTable) -> AssetJob:
    """The job that casts quarantined records again after a fix and replaces their windows."""
    op = f"{table.name}_windows"
    return dg.define_asset_job(
        table.reprocess_job,
        selection=_windows_alone(table),
        config={"ops": {op: {"config": {"reprocess": True}}}},
        description="Cast the windows' quarantined records again without fetching, and replace them in the warehouse.",
    )


def windows_sensor(table: WindowedTable, job: AssetJob, now: Callable[[], datetime] = utc_now) -> dg.SensorDefinition:
    """Asks the source how new its records are, and requests windows that closed or changed; `now` is the wall clock."""

    @dg.sensor(
        name=f"{table.name}_new_windows",
        job=job,
        minimum_interval_seconds=interval(table, A_MINUTE),
        default_status=status(table),
        description="Requests the windows that closed since the last tick, as far as the source has records; windows "
        "of the look-back whose record count at the source is no longer the loaded one; windows whose runs failed, "
        "after pauses that double; and windows that have waited an hour for a confirmation. The first tick starts at "
        "the newest windows: load history with a backfill.",
    )
    def look(context: dg.SensorEvaluationContext, fetch: FetchResource) -> dg.SensorResult | dg.SkipReason:
        return new_windows(table, context.instance, fetch, now(), Cursor.parse(context.cursor))

    return look


def new_windows(
    table: WindowedTable, instance: dg.DagsterInstance, fetch: FetchResource, wall: datetime, cursor: Cursor
) -> dg.SensorResult | dg.SkipReason:
    """One tick of the sensor, when the wall clock shows `wall`: what to run, and what to remember."""
    now = table.instant(wall)
    latest = _latest(table, fetch, now)
    if table.calendar.reached(now, latest.newest) is None:
        return dg.SkipReason(f"no window has closed yet; the API holds {latest.records:,} records.")
    waited = confirmable(table, wall)
    # guard: a cursor of windows that were declared earlier
    if table.grid.number_of_key(cursor.last) is None:
        cursor = Cursor()
    state = table_state(table, instance, now, cursor, waited)
    asked = worth_asking(state, now) if latest.records != cursor.records else []
    counts = source_counts(table, fetch, asked, tries=fetch.tries)
    wanted = wanted_windows(state, SourceState(latest.newest, latest.records, counts), now)
    requests = [
        run_request(window, reason, _occasion(latest, state.failures.get(window), waited.get(window)))
        for window, reason in wanted.run.items()
    ]
    skip_reason = None if requests else _nothing_new(latest, wanted)
    return dg.SensorResult(run_requests=requests, skip_reason=skip_reason, cursor=wanted.cursor.render())


def _latest(table: WindowedTable, fetch: FetchResource, now: datetime) -> Latest:
    """How new the source's records are; a source that does not say counts as up to date and unchanged."""
    api = table.api()
    with fetch.client(api, table.gate) as client:
        return ask_latest(client, api, tries=fetch.tries) or Latest(now, 0)


def _nothing_new(latest: Latest, wanted: Wanted) -> str:
    overdue = f" Requested and not in the table: {wanted.overdue:,} windows." if wanted.overdue else ""
    return f"nothing new in {latest.records:,} records.{overdue}"


def _occasion(latest: Latest, failures: Failures | None, waited: Withheld | None) -> str:
    """What distinguishes the run key of this request from those of earlier requests for the window."""
    if waited:
        return occasion(waited, failures)
    return f"{latest.records}{after(failures)}"
