"""What schedule and sensors share: how often they tick, and how they request a run."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from flows_platform.domain.wanted_windows import Reason
from flows_platform.domain.windows import Window
from flows_platform.orchestration.table import WindowedTable

A_MINUTE = timedelta(minutes=1)
SHORTEST_INTERVAL = 5  # seconds between two rounds of Dagster's sensor daemon
REASON = "flows/reason"  # a tag of a run: why it was requested


def utc_now() -> datetime:
    """The wall clock, the default for everything that takes a clock."""
    return datetime.now(UTC)


def interval(table: WindowedTable, usual: timedelta) -> int:
    """Seconds between two ticks of a sensor; `usual` is its interval without a simulated clock."""
    return max(SHORTEST_INTERVAL, int(table.wall_time(usual).total_seconds()))


def first_pause(table: WindowedTable, usual: timedelta) -> timedelta:
    """The pause of a window after its first failure, in data time: the time between two ticks, as in `interval`."""
    return table.data_time(timedelta(seconds=interval(table, usual)))


def status(table: WindowedTable) -> dg.DefaultSensorStatus:
    """With a simulated clock, sensors start switched on."""
    return dg.DefaultSensorStatus.RUNNING if table.clock else dg.DefaultSensorStatus.STOPPED


def run_request(window: Window, reason: Reason, occasion: str) -> dg.RunRequest:
    """A request to run the window.

    Dagster uses a run key only once, even if its run fails, so the key contains the occasion.
    """
    return dg.RunRequest(
        run_key=f"{window.key}@{occasion}", partition_key=window.key, tags={REASON: reason.value.replace(" ", "_")}
    )
