"""Ten years of windows of a quarter of an hour: each tick of a sensor does a bounded share of the work."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.dagster_run import RunRecord  # not exported

from flows_platform.domain.calendar import Calendar
from flows_platform.domain.cron import Cron
from flows_platform.domain.lag import numbers
from flows_platform.domain.unloaded_windows import CHECKED_A_LOOK
from flows_platform.domain.wanted_windows import RUNS_A_LOOK, Cursor, SourceState, candidates, wanted_windows
from flows_platform.orchestration.automation import differing_windows
from flows_platform.orchestration.automation.differing_windows import COMPARED_A_LOOK, loaded_windows, looked
from flows_platform.orchestration.automation.table_state import table_state
from flows_platform.orchestration.partitions import PARTITION, range_tags
from flows_platform.orchestration.resources import build_resources
from flows_platform.orchestration.table import WindowedTable
from flows_platform.orchestration.table_definitions import windowed_definitions
from flows_platform.orchestration.window_history import WindowRuns
from flows_platform.pipeline.compare import Comparison, FileState
from flows_platform.settings import load_settings
from flows_platform.sources.lanl_flows.windows import flows_windows

QUARTERS = Cron.parse("*/15 * * * *")
GRID = QUARTERS.grid(datetime(2016, 1, 1, tzinfo=UTC))
TEN_YEARS = 350_688
NOW = GRID.nth(TEN_YEARS).end + timedelta(minutes=21)


@pytest.fixture
def table(tmp_path: Path) -> WindowedTable:
    calendar = Calendar(GRID, None, timedelta(minutes=20))
    return replace(flows_windows(load_settings(home=tmp_path)), cron=QUARTERS, calendar=calendar, clock=None)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.mark.slow
def test_a_look_asks_the_instance_for_a_share_of_the_windows_that_are_not_loaded(
    table: WindowedTable, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs_read, real = list[int](), instance.get_run_records

    def counted(*given: Any, **named: Any) -> Sequence[RunRecord]:
        runs_read.append(1)
        return real(*given, **named)

    monkeypatch.setattr(instance, "get_run_records", counted)
    cursor = Cursor(0, GRID.nth(TEN_YEARS).key, GRID.nth(1).key)
    seen: set[int] = set()
    for _ in range(3):
        runs_read.clear()
        state = table_state(table, instance, NOW, cursor, ())
        wanted = wanted_windows(state, SourceState(NOW), NOW)
        assert len(runs_read) <= CHECKED_A_LOOK + RUNS_A_LOOK + state.look_back + 1
        assert wanted.overdue == TEN_YEARS
        assert len(wanted.cursor.render()) < 400
        seen |= {GRID.number(window) for window in candidates(state, NOW)}
        cursor = wanted.cursor
    assert seen >= {*range(1, 3 * CHECKED_A_LOOK + 1)}


def test_windows_in_the_table_leave_the_cursor(table: WindowedTable, instance: dg.DagsterInstance) -> None:
    last = GRID.nth(TEN_YEARS)
    for window in (GRID.nth(TEN_YEARS - 1), last):
        instance.report_runless_asset_event(dg.AssetMaterialization(table.table_key, partition=window.key))
    state = table_state(table, instance, NOW, Cursor(0, last.key, GRID.nth(TEN_YEARS - 2).key), ())
    assert wanted_windows(state, SourceState(NOW), NOW).overdue == 1


def compared(share: Sequence[str]) -> Generator[Comparison]:
    """Comparisons without a difference, but for the windows that begin at noon."""
    for key in share:
        yield Comparison(GRID.from_key(key), None, FileState(0), 1 if key.endswith("12:00") else 0)


KEYS = [GRID.nth(number).key for number in range(2 * COMPARED_A_LOOK + 300)]
AGREEING = [key for key in KEYS if not key.endswith("12:00")]


def test_a_tick_compares_a_share_and_the_next_one_goes_on() -> None:
    looks, after = [], ""
    for _ in range(4):
        look = looked(AGREEING, after, compared, lambda: 0.0)
        looks.append(look.windows)
        after = look.last
    assert looks == [COMPARED_A_LOOK, COMPARED_A_LOOK, len(AGREEING) - 2 * COMPARED_A_LOOK, COMPARED_A_LOOK]
    assert looked([], "", compared, lambda: 0.0).windows == 0
    assert looked(AGREEING[:5], AGREEING[4], compared, lambda: 0.0).windows == 5  # others are gone since


def test_a_tick_ends_in_time_and_no_difference_is_left_out() -> None:
    seconds = iter(range(1_000))
    slow = looked(AGREEING, "", compared, lambda: float(next(seconds)))
    assert slow.last == AGREEING[slow.windows - 1]
    assert slow.windows == differing_windows.SECONDS_OF_A_LOOK + 1
    found, after = list[str](), ""
    for _ in range(10):
        look = looked(KEYS, after, compared, lambda: 0.0)
        assert len(look.differing) <= RUNS_A_LOOK
        found += [window.key for window in look.differing]
        after = look.last
        if not after:
            break
    assert found == [key for key in KEYS if key.endswith("12:00")]


def test_windows_of_an_earlier_declaration_are_left_out(table: WindowedTable, instance: dg.DagsterInstance) -> None:
    for key in ("2024-03-01-10:15", "2024-03-01-10:07", "2015-12-31-23:45"):
        instance.report_runless_asset_event(dg.AssetMaterialization(table.table_key, partition=key))
    assert loaded_windows(table, instance) == ["2024-03-01-10:15"]


def test_queued_runs_are_ranges_of_windows(table: WindowedTable, instance: dg.DagsterInstance) -> None:
    definitions = windowed_definitions(table)
    resources = dg.Definitions(resources=build_resources(load_settings())._asdict())
    job = dg.Definitions.merge(definitions, resources).resolve_job_def(table.windows_job)
    other = "2024-03-01-10:07"  # of an earlier declaration
    for tags in (
        range_tags(GRID.nth(1000).key, GRID.nth(1057).key),
        {PARTITION: GRID.nth(5).key},
        {PARTITION: other},
        range_tags(other, GRID.nth(9).key),
        {},
    ):
        instance.create_run_for_job(job, tags=tags)
    keys = WindowRuns(table, instance).on_the_way()
    assert [*numbers(keys.windows)] == [5, *range(1000, 1058)]
    assert GRID.nth(5).key in keys
    assert [key for key in (GRID.nth(4).key, other, "yesterday", "") if key in keys] == []
