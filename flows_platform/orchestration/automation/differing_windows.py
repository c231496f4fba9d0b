"""Loaded windows that differ from the source: a check that names them, and a sensor that runs them again."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from flows_platform.domain.wanted_windows import SourceState, TableState, wanted_windows
from flows_platform.orchestration.automation.new_windows_sensor import AssetJob
from flows_platform.orchestration.automation.requests import interval, run_request, status, utc_now
from flows_platform.orchestration.confirmations import confirmable, occasion
from flows_platform.orchestration.resources import FetchResource, WarehouseResource
from flows_platform.orchestration.table import WindowedTable
from flows_platform.orchestration.window_history import WindowRuns

if TYPE_CHECKING:
    from flows_platform.pipeline.compare import Comparison

AN_HOUR = timedelta(hours=1)


def loaded_windows_that_differ(
    table: WindowedTable, instance: dg.DagsterInstance, fetch: FetchResource, warehouse: WarehouseResource
) -> tuple[int, list["Comparison"]]:
    """The number of loaded windows, and those whose counts differ between source, window file and warehouse.

    No file is read for its digest: that would read everything ever fetched, every hour.
    """
    from flows_platform.pipeline.compare import compare_counts  # noqa: PLC0415 - loads BigQuery's clients

    loaded = instance.get_materialized_partitions(table.table_key)
    windows = [table.grid.from_key(key) for key in sorted(loaded)]
    if not windows:
        return 0, []
    with table.pipeline(fetch, warehouse) as pipeline:
        compared = compare_counts(pipeline, table.grid, windows, prove_files=False)
        return len(windows), [comparison for comparison in compared if comparison.difference]


def matches_source_check(table: WindowedTable) -> dg.AssetChecksDefinition:
    """The check that compares all loaded windows with the source by count."""

    @dg.asset_check(
        asset=table.table_key,
        name="loaded_windows_match_source",
        description="Every loaded window has the same number of records at the API, in its file and in BigQuery. "
        "`flows verify --rows` compares the values too.",
    )
    def check(
        context: dg.AssetCheckExecutionContext, fetch: FetchResource, warehouse: WarehouseResource
    ) -> dg.AssetCheckResult:
        windows, differing = loaded_windows_that_differ(table, context.instance, fetch, warehouse)
        lines = "\n".join(f"- {comparison.window.key}: {comparison.difference}" for comparison in differing)
        only_waiting = all(comparison.waits for comparison in differing)
        return dg.AssetCheckResult(
            passed=not differing,
            severity=dg.AssetCheckSeverity.WARN if only_waiting else dg.AssetCheckSeverity.ERROR,
            metadata={
                "windows": windows,
                "differing": len(differing),
                "differences": dg.MetadataValue.md(lines or "none"),
            },
        )

    return check


def differing_windows_sensor(
    table: WindowedTable, job: AssetJob, now: Callable[[], datetime] = utc_now
) -> dg.SensorDefinition:
    """Requests loaded windows that differ, once for every state of the difference; `now` is the wall clock.

    A window that waits for a confirmation is requested when another fetch may confirm it.
    """

    @dg.sensor(
        name=f"{table.name}_differing_windows",
        job=job,
        minimum_interval_seconds=interval(table, AN_HOUR),
        default_status=status(table),
        description="Compares every loaded window with the source by count, and requests those that differ: late or "
        "changed records beyond the look-back.",
    )
    def look(
        context: dg.SensorEvaluationContext, fetch: FetchResource, warehouse: WarehouseResource
    ) -> dg.SensorResult:
        runs, wall = WindowRuns(table, context.instance), now()
        busy = runs.on_the_way()  # read before and after: a window differs for a moment while it is replaced
        windows, found = loaded_windows_that_differ(table, context.instance, fetch, warehouse)
        differing = {comparison.window: comparison for comparison in found}
        waits = {comparison.window for comparison in found if comparison.waits}
        state = TableState(
            calendar=table.calendar,
            look_back=table.look_back,
            snapshot=table.snapshot,
            running=busy | runs.on_the_way(),
            confirmable=waits & confirmable(table, wall).keys(),
        )
        source = SourceState(differing=differing.keys() - waits)
        wanted = wanted_windows(state, source, table.instant(wall)).run
        if not wanted:
            return dg.SensorResult(skip_reason=f"{windows} loaded windows; none differs, except windows being loaded.")
        return dg.SensorResult(
            run_requests=[
                run_request(window, reason, _occasion(differing[window])) for window, reason in wanted.items()
            ]
        )

    return look


def _occasion(comparison: "Comparison") -> str:
    """The counts, so that a difference that a run cannot remove is not requested again and again."""
    if comparison.waits and comparison.withheld:
        return occasion(comparison.withheld)
    return f"{comparison.source}-{comparison.file.rows}-{comparison.warehouse}"
