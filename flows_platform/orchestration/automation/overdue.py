"""Closed windows that are not in the table: a check of how far the table is behind, and a sensor that reports it.

A backfill of an old window makes an asset fresh for Dagster, but does not make this check pass.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (  # not exported
    AssetCheckEvaluationTargetMaterializationData,
)

from flows_platform.domain.lag import Lag, Windows, lag_at
from flows_platform.orchestration.automation.requests import A_MINUTE, interval, utc_now
from flows_platform.orchestration.freshness import report_freshness
from flows_platform.orchestration.known_windows import Known, known_windows, newest_materialization
from flows_platform.orchestration.partitions import LAG_CHECK
from flows_platform.orchestration.table import WindowedTable

LEAST_PATIENCE = timedelta(minutes=1)  # a run takes seconds, also with a fast simulated clock
AN_HOUR = timedelta(hours=1)

REMEDY = (
    "Failed windows: fix what their runs name, then *Materialize*, *Failed and missing*. Windows that were never "
    "started: check that schedule and sensor are on and that the API answers. Load history with a backfill."
)


def tolerated(table: WindowedTable) -> timedelta:
    """The lag, in data time, up to which no window is late: the grace, and as much again to load the window.

    Loading has at least a minute of the wall clock, also with a fast simulated clock. The schedule of months, and of
    weeks in a time zone, may come later than the grace says.
    """
    grace = table.calendar.grace
    return grace + table.cron.lateness(grace, table.zone) + max(grace, table.data_time(LEAST_PATIENCE))


def is_late(table: WindowedTable, lag: Lag) -> bool:
    """Whether a window should be in the table by now and is not."""
    return lag.oldest is not None and lag.age >= tolerated(table)


def figures(lag: Lag) -> dict[str, dg.MetadataValue]:
    """The lag as metadata; `lag_seconds` is in data time."""
    return {
        "lag_seconds": dg.MetadataValue.int(int(lag.age.total_seconds())),
        "oldest_missing": dg.MetadataValue.text(lag.oldest.key if lag.oldest else "none"),
        "newest_closed": dg.MetadataValue.text(lag.newest.key if lag.newest else "none"),
        "closed": dg.MetadataValue.int(lag.closed),
        "missing": dg.MetadataValue.int(lag.missing.count),
        "failed": dg.MetadataValue.int(lag.failed.count),
        "waiting": dg.MetadataValue.int(lag.waiting.count),
        "never_started": dg.MetadataValue.int(lag.never_started.count),
        "unconfirmed": dg.MetadataValue.int(lag.unconfirmed.count),
        "missing_windows": dg.MetadataValue.text(str(lag.missing)),
        "failed_windows": dg.MetadataValue.text(str(lag.failed)),
        "unconfirmed_windows": dg.MetadataValue.text(str(lag.unconfirmed)),
    }


def overdue_check(table: WindowedTable, now: Callable[[], datetime]) -> dg.AssetChecksDefinition:
    """The check, to be run by hand; the lag's sensor reports it whenever it changes."""

    @dg.asset_check(
        asset=table.table_key,
        name=LAG_CHECK,
        description="Every closed window is in the table; the lag is the age of the oldest one that is not. "
        f"The sensor {table.name}_lag reports it, even while the API is down.",
    )
    def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        windows, _ = known_windows(table, context.instance, now())
        lag = lag_at(table.calendar, table.instant(now()), windows, snapshot=table.snapshot)
        return dg.AssetCheckResult(passed=not is_late(table, lag), **_verdict(lag))

    return check


def _verdict(lag: Lag) -> dict[str, Any]:
    remedy = {"remedy": dg.MetadataValue.text(REMEDY)} if lag.oldest else {}
    return {"severity": dg.AssetCheckSeverity.WARN, "metadata": figures(lag) | remedy, "description": str(lag)}


@dataclass(frozen=True, slots=True)
class LagCursor:
    """What the last tick knew, what it reported, and when something was last reported."""

    known: Known
    reported: str = ""
    at: str = ""

    @classmethod
    def parse(cls, text: str | None) -> "LagCursor":
        held = json.loads(text) if text else {}
        return cls(Known.parse(held.get("known")), held.get("reported", ""), held.get("at", ""))

    def render(self) -> str:
        return json.dumps({"known": self.known.as_dict(), "reported": self.reported, "at": self.at})


def lag_sensor(table: WindowedTable, now: Callable[[], datetime] = utc_now) -> dg.SensorDefinition:
    """Reports how far the table is behind, without asking the API. `now` is the wall clock."""

    @dg.sensor(
        name=f"{table.name}_lag",
        minimum_interval_seconds=interval(table, A_MINUTE),
        default_status=dg.DefaultSensorStatus.RUNNING,  # it starts no runs, and nobody would switch it on in time
        description="Reports the check closed_windows_are_loaded and the table's freshness: the age of the oldest "
        "closed window that is not in the table.",
    )
    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        lag, cursor = looked(table, context.instance, LagCursor.parse(context.cursor), now())
        return dg.SensorResult(skip_reason=str(lag), cursor=cursor.render())

    return look


def looked(
    table: WindowedTable, instance: dg.DagsterInstance, before: LagCursor, wall: datetime
) -> tuple[Lag, LagCursor]:
    """The lag at `wall`, reported if it changed or an hour has passed, and what to keep for the next tick."""
    windows, known = known_windows(table, instance, wall, before.known)
    lag = lag_at(table.calendar, table.instant(wall), windows, snapshot=table.snapshot)
    if not lag.closed or not _is_in_use(table, instance, windows):
        return lag, LagCursor(known, before.reported, before.at)
    state = _state(table, lag, known.newest) + report_freshness(table, instance, lag, wall)
    if state == before.reported and not _is_old(table, before.at, lag, wall):
        return lag, LagCursor(known, before.reported, before.at)
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=table.table_key,
            check_name=LAG_CHECK,
            passed=not is_late(table, lag),
            target_materialization_data=_target(table, instance),
            **_verdict(lag),
        )
    )
    return lag, LagCursor(known, state, wall.isoformat())


def _target(table: WindowedTable, instance: dg.DagsterInstance) -> AssetCheckEvaluationTargetMaterializationData | None:
    """The materialisation that the check is about. Without it, Dagster compares times, to the second only."""
    record = newest_materialization(table, instance)
    if record is None:
        return None
    return AssetCheckEvaluationTargetMaterializationData(
        storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
    )


def _state(table: WindowedTable, lag: Lag, newest: int) -> str:
    """What is reported as soon as it changes. While no window is late, a window that closes is not reported.

    A new materialisation is: the pages show a check that is older than it as not evaluated.
    """
    news = [str(newest), str(lag.unconfirmed)]
    if is_late(table, lag):
        news += [lag.oldest.key if lag.oldest else "", str(lag.missing), str(lag.failed)]
    return json.dumps(news)


def _is_old(table: WindowedTable, reported: str, lag: Lag, wall: datetime) -> bool:
    """Whether the reported figures are out of date: an hour old, in data time, while a window is missing."""
    an_hour = max(A_MINUTE, table.wall_time(AN_HOUR))
    return lag.oldest is not None and wall - datetime.fromisoformat(reported) >= an_hour


def _is_in_use(table: WindowedTable, instance: dg.DagsterInstance, windows: Windows) -> bool:
    """Whether the table is in use: a window was tried or loaded, or its schedule or sensor is on."""
    if table.clock or windows.loaded or windows.attempted:
        return True
    requesters = {f"{table.name}_schedule", f"{table.name}_new_windows"}
    return any(state.is_running and state.instigator_name in requesters for state in instance.all_instigator_state())
