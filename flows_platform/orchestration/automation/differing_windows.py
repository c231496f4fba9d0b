"""Loaded windows that differ from the source: a check that names them, and a sensor that runs them again."""

import time
from bisect import bisect_right
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg

from flows_platform.domain.lag import KeysOf
from flows_platform.domain.wanted_windows import RUNS_A_LOOK, Failures, SourceState, TableState, wanted_windows
from flows_platform.domain.windows import Window
from flows_platform.orchestration.automation.new_windows_sensor import AssetJob
from flows_platform.orchestration.automation.requests import first_pause, interval, run_request, status, utc_now
from flows_platform.orchestration.confirmations import after, confirmable, occasion
from flows_platform.orchestration.resources import FetchResource, WarehouseResource
from flows_platform.orchestration.table import WindowedTable
from flows_platform.orchestration.window_history import WindowRuns

if TYPE_CHECKING:
    from flows_platform.pipeline.compare import Comparison

AN_HOUR = timedelta(hours=1)
COMPARED_A_LOOK = 5_000  # 0.4 ms a window, if the source need not be asked
SECONDS_OF_A_LOOK = 40.0  # Dagster ends a sensor's tick after 60 s
NAMED = 200  # windows that the check names

type Clock = Callable[[], float]


def loaded_windows(table: WindowedTable, instance: dg.DagsterInstance) -> list[str]:
    """The keys of all windows in the table, in order; without keys of another grid."""
    loaded = instance.get_materialized_partitions(table.table_key)
    return sorted(key for key in loaded if table.grid.number_of_key(key) is not None)


def compared_windows(
    table: WindowedTable, keys: Sequence[str], fetch: FetchResource, warehouse: WarehouseResource
) -> Generator["Comparison"]:
    """Compare loaded windows by their counts at source, window file and warehouse.

    No file is read for its digest: that would read everything ever fetched.
    """
    from flows_platform.pipeline.compare import compare_counts  # noqa: PLC0415 - loads BigQuery's clients

    windows = [table.grid.from_key(key) for key in keys]
    if windows:
        with table.pipeline(fetch, warehouse) as pipeline:
            yield from compare_counts(pipeline, table.grid, windows, prove_files=False)


@dataclass(frozen=True, slots=True)
class Look:
    """What one tick of the sensor compared: how many windows, the last one's key, and those that differ.

    `last` is empty if the tick reached the newest window.
    """

    windows: int
    last: str
    differing: dict[Window, "Comparison"]


def looked(
    keys: Sequence[str], after: str, compare: Callable[[Sequence[str]], Generator["Comparison"]], clock: Clock
) -> Look:
    """Compare the windows after the key `after`, or from the first one on, until enough are compared or differ."""
    share = keys[bisect_right(keys, after) :][:COMPARED_A_LOOK] or keys[:COMPARED_A_LOOK]
    began, compared, differing = clock(), list[str](), dict[Window, "Comparison"]()
    with closing(compare(share)) as comparisons:
        for key, comparison in zip(share, comparisons, strict=False):
            compared.append(key)
            if comparison.difference:
                differing[comparison.window] = comparison
            # guard: a tick ends before Dagster ends it
            if clock() - began > SECONDS_OF_A_LOOK or len(differing) == RUNS_A_LOOK:
                break
    return Look(len(compared), "" if compared[-1:] == [*keys[-1:]] else compared[-1], differing)


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
        keys = loaded_windows(table, context.instance)
        compared = compared_windows(table, keys, fetch, warehouse)
        differing = [comparison for comparison in compared if comparison.difference]
        lines = [f"- {comparison.window.key}: {comparison.difference}" for comparison in differing[:NAMED]]
        more = [f"- and {len(differing) - NAMED:,} more"] if len(differing) > NAMED else []
        only_waiting = all(comparison.waits for comparison in differing)
        return dg.AssetCheckResult(
            passed=not differing,
            severity=dg.AssetCheckSeverity.WARN if only_waiting else dg.AssetCheckSeverity.ERROR,
            metadata={
                "windows": len(keys),
                "differing": len(differing),
                "differences": dg.MetadataValue.md("\n".join([*lines, *more]) or "none"),
            },
        )

    return check


def differing_windows_sensor(
    table: WindowedTable, job: AssetJob, now: Callable[[], datetime] = utc_now, clock: Clock = time.monotonic
) -> dg.SensorDefinition:
    """Requests loaded windows that differ, once for every state of the difference; `now` is the wall clock.

    A tick compares as many windows as its time allows, by the monotonic `clock`; the next tick goes on with the others.
    A window that waits for a confirmation is requested when another fetch may confirm it.
    """

    @dg.sensor(
        name=f"{table.name}_differing_windows",
        job=job,
        minimum_interval_seconds=interval(table, AN_HOUR),
        default_status=status(table),
        description="Compares all loaded windows with the source by count, some at each tick if there are many, and "
        "requests those that differ: late or changed records beyond the look-back.",
    )
    def look(
        context: dg.SensorEvaluationContext, fetch: FetchResource, warehouse: WarehouseResource
    ) -> dg.SensorResult:
        runs, wall = WindowRuns(table, context.instance), now()
        busy = runs.on_the_way()  # read before and after: a window differs for a moment while it is replaced
        compare = partial(compared_windows, table, fetch=fetch, warehouse=warehouse)
        seen = looked(loaded_windows(table, context.instance), context.cursor or "", compare, clock)
        failures = {window: failed for window in seen.differing if (failed := runs.failures(window))}
        waits = {comparison.window for comparison in seen.differing.values() if comparison.waits}
        state = TableState(
            calendar=table.calendar,
            look_back=table.look_back,
            snapshot=table.snapshot,
            running=KeysOf(table.grid, busy.windows | runs.on_the_way().windows),
            confirmable=waits & confirmable(table, wall).keys(),
            failures=failures,
            pause=first_pause(table, AN_HOUR),
        )
        source = SourceState(differing=seen.differing.keys() - waits)
        wanted = wanted_windows(state, source, table.instant(wall)).run
        if not wanted:
            reason = f"{seen.windows} loaded windows compared; none differs, except windows being loaded."
            return dg.SensorResult(skip_reason=reason, cursor=seen.last)
        return dg.SensorResult(
            run_requests=[
                run_request(window, reason, _occasion(seen.differing[window], failures.get(window)))
                for window, reason in wanted.items()
            ],
            cursor=seen.last,
        )

    return look


def _occasion(comparison: "Comparison", failures: Failures | None) -> str:
    """The counts, so that a difference that a run does not remove is not requested again; a run that failed is."""
    if comparison.waits and comparison.withheld:
        return occasion(comparison.withheld, failures)
    return f"{comparison.source}-{comparison.file.rows}-{comparison.warehouse}{after(failures)}"
