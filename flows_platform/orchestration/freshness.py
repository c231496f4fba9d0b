"""When Dagster shows a windowed table as stale: by its lag, and by the clock that its windows follow."""

import math
from datetime import datetime, timedelta

import dagster as dg
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange  # that it takes, and exports not

from flows_platform.domain.lag import Lag
from flows_platform.orchestration.table import WindowedTable

TIME_WINDOW = type(dg.FreshnessPolicy.time_window(fail_window=timedelta(minutes=1)))  # which it does not export
SHORTEST = 60  # seconds: Dagster takes no shorter window


def freshness_policy(table: WindowedTable) -> dg.FreshnessPolicy | None:
    """A warning when a window is overdue by the grace, a failure when a whole one was missed.

    None for history: where windows end and no clock is simulated, nothing new comes. The policy is what the pages show;
    what is held against it is the lag (`freshness_state`).
    """
    if table.calendar.end is not None and table.clock is None:
        return None
    length, grace = table.cron.length, table.calendar.grace
    warn = whole_seconds(table.wall_time(length + grace))
    fail = whole_seconds(table.wall_time(2 * length + grace))
    return dg.FreshnessPolicy.time_window(fail_window=fail, warn_window=warn if warn < fail else None)


def whole_seconds(span: timedelta) -> timedelta:
    """`span` as Dagster can show it: its pages read these windows as whole numbers, and fail with any other."""
    # guard: whole seconds of freshness
    return timedelta(seconds=max(SHORTEST, math.ceil(span.total_seconds())))


def freshness_state(table: WindowedTable, lag: Lag) -> FreshnessState:
    """How fresh the table is at a lag: as if its last window had come when the last one before the missing ones closed.

    Dagster's own daemon takes the age of the newest materialisation, of whichever window: one old window that is loaded
    again makes it fresh, though forty are missing.
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
    """Record the state of the table and of what is made with it, where it changed; gives the state.

    Where the instance has Dagster's own daemon decide, nothing is recorded: they would contradict each other for ever.
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
