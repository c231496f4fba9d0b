"""When Dagster shows a windowed table as stale: by its lag, on the clock that its windows follow."""

import math
from datetime import datetime, timedelta

import dagster as dg
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange  # not exported

from flows_platform.domain.cron import clock_change
from flows_platform.domain.lag import Lag
from flows_platform.domain.window_length import longest
from flows_platform.orchestration.table import WindowedTable

TIME_WINDOW = type(dg.FreshnessPolicy.time_window(fail_window=timedelta(minutes=1)))  # not exported either
SHORTEST = 60  # seconds; Dagster's minimum for a window


def freshness_policy(table: WindowedTable) -> dg.FreshnessPolicy | None:
    """The policy that the pages show: a warning when a window is overdue, a failure when a whole window is missing.

    None for history: if windows end and no clock is simulated, nothing new comes. `freshness_state` compares the lag
    with this policy.
    """
    if table.calendar.end is not None and table.clock is None:
        return None
    grace = table.calendar.grace
    length, usual = (
        longest(table.cron.length),
        grace + table.cron.lateness(grace, table.zone) + clock_change(table.zone),
    )
    warn = whole_seconds(table.wall_time(length + usual))
    fail = whole_seconds(table.wall_time(2 * length + usual))
    return dg.FreshnessPolicy.time_window(fail_window=fail, warn_window=warn if warn < fail else None)


def whole_seconds(span: timedelta) -> timedelta:
    """`span` in whole seconds: Dagster's pages read it as an integer and fail with any other number."""
    # guard: whole seconds of freshness
    return timedelta(seconds=max(SHORTEST, math.ceil(span.total_seconds())))


def freshness_state(table: WindowedTable, lag: Lag) -> FreshnessState:
    """How fresh the table is, by its lag: its age counts from the close of the last window before the missing ones.

    Dagster's own daemon uses the age of the newest materialisation of any window: reloading one old window makes the
    table fresh although forty are missing.
    """
    policy = freshness_policy(table)
    if not isinstance(policy, TIME_WINDOW):
        return FreshnessState.NOT_APPLICABLE
    age = table.wall_time(lag.behind - table.calendar.grace)
    # guard: freshness by the lag
    if age > policy.fail_window.to_timedelta():
        return FreshnessState.FAIL
    if policy.warn_window and age > policy.warn_window.to_timedelta():
        return FreshnessState.WARN
    return FreshnessState.PASS


def report_freshness(table: WindowedTable, instance: dg.DagsterInstance, lag: Lag, wall: datetime) -> str:
    """Record the state of the table, its files and its sinks where it changed; return the state.

    Nothing is recorded if Dagster's own daemon is on: the two would contradict each other again and again.
    """
    state = freshness_state(table, lag)
    if instance.freshness_enabled or state is FreshnessState.NOT_APPLICABLE:
        return str(state.value)
    known = instance.get_freshness_state_records(table.window_keys)
    for key in table.window_keys:
        before = known[key].freshness_state if key in known else FreshnessState.UNKNOWN
        if before is not state:
            change = FreshnessStateChange(
                key=key, new_state=state, previous_state=before, state_change_timestamp=wall.timestamp()
            )
            instance.report_runless_asset_event(change)
    return str(state.value)
