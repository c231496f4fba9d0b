"""When Dagster shows a windowed table as stale: by the clock that its windows follow."""

import math
from datetime import timedelta

import dagster as dg

from flows_platform.windowed.declaration import WindowedTable

SHORTEST = 60  # seconds: Dagster takes no shorter window


def freshness_policy(declaration: WindowedTable) -> dg.FreshnessPolicy | None:
    """A warning when a window is overdue by the grace, a failure when a whole one was missed.

    None for history: where windows end and nothing replays them, nothing new comes.
    """
    if declaration.calendar.end is not None and declaration.replay is None:
        return None
    length, grace = declaration.cron.length, declaration.calendar.grace
    warn = whole_seconds(declaration.wall_time(length + grace))
    fail = whole_seconds(declaration.wall_time(2 * length + grace))
    return dg.FreshnessPolicy.time_window(fail_window=fail, warn_window=warn if warn < fail else None)


def whole_seconds(span: timedelta) -> timedelta:
    """`span` as Dagster can show it: its pages read these windows as whole numbers, and fail with any other."""
    return timedelta(seconds=max(SHORTEST, math.ceil(span.total_seconds())))
