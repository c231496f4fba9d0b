"""How the rows of a window file spread over its window and values, and its first rows."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows_platform.columns.batches import arrow_schema
from flows_platform.domain.schema import Column, ColumnType, TableSchema
from flows_platform.domain.windows import Window
from flows_platform.window_files import profile
from flows_platform.window_files.parquet import ParquetSink
from flows_platform.window_files.profile import Profile, ProfilePlan, Profiler, ValueCounts

START = datetime(2024, 3, 1, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(hours=3))
TEN = timedelta(minutes=10)


def schema(time: ColumnType) -> TableSchema:
    columns = (
        Column("id", ColumnType.INT64, ""),
        Column("at", time, ""),
        Column("kind", ColumnType.STRING, "", nullable=True),
    )
    return TableSchema("events", "", columns, key="id", time="at", epoch=START - timedelta(days=1))


def profiled(path: Path, of: TableSchema, times: Sequence[object], kinds: list[str | None]) -> Profile:
    plan = ProfilePlan(WINDOW, TEN, frozenset({"kind"}), first_rows=3)
    with ParquetSink(path, of, Profiler(plan, of)) as sink:
        if times:
            columns = {"id": [*range(len(times))], "at": times, "kind": kinds}
            sink.write(pa.RecordBatch.from_pydict(columns, schema=arrow_schema(of)))
    found = sink.window_file(WINDOW, path).profile
    assert found is not None
    return found


@pytest.mark.parametrize("time", [ColumnType.INT64, ColumnType.TIMESTAMP])
def test_rows_by_slice_and_by_value(time: ColumnType, tmp_path: Path) -> None:
    offsets = [timedelta(0), timedelta(minutes=9, seconds=59), timedelta(minutes=10), timedelta(hours=2, minutes=59)]
    seconds = [int((timedelta(days=1) + offset).total_seconds()) for offset in offsets]
    times = seconds if time is ColumnType.INT64 else [START + offset for offset in offsets]
    found = profiled(tmp_path / "w.parquet", schema(time), times, ["a", None, "b", "a"])
    assert len(found.slices) == 18
    assert [pair for pair in found.slices if pair[1]] == [(START, 2), (START + TEN, 1), (WINDOW.end - TEN, 1)]
    assert found.values["kind"].top(2) == [("a", 2), ("b", 1)]
    assert dict(found.values["kind"].top(9))[None] == 1
    assert [row["id"] for row in found.first_rows] == [0, 1, 2]


def test_decimals_and_dates_are_counted_as_they_are_written() -> None:
    counts = ValueCounts()
    counts.add(pa.array([Decimal("1.50"), Decimal("1.5"), Decimal("1e-9"), None], pa.decimal128(38, 9)))
    assert counts.top(3) == [("1.5", 2), ("0.000000001", 1), (None, 1)]
    days = ValueCounts()
    days.add(pa.array([date(2024, 3, 1)] * 2))
    assert days.top(1) == [("2024-03-01", 2)]


def test_an_empty_file_has_slices_and_no_rows(tmp_path: Path) -> None:
    found = profiled(tmp_path / "w.parquet", schema(ColumnType.TIMESTAMP), [], [])
    assert {count for _, count in found.slices} == {0}
    assert found.values["kind"].top(3) == []
    assert found.first_rows == []


def test_the_first_rows_may_come_in_several_row_groups() -> None:
    of = schema(ColumnType.INT64)
    profiler = Profiler(ProfilePlan(WINDOW, TEN, frozenset(), first_rows=3), of)
    for first in (0, 2, 4):
        columns = {"id": [first, first + 1], "at": [86_400, 86_401], "kind": ["a", "b"]}
        profiler.add(pa.Table.from_pydict(columns, schema=arrow_schema(of)))
    assert [row["id"] for row in profiler.profile().first_rows] == [0, 1, 2]


@given(st.lists(st.lists(st.integers(0, 9), min_size=1), max_size=5))
def test_counts_of_batches_add_up(batches: list[list[int]]) -> None:
    counts, plain = ValueCounts(), Counter[str]()
    for batch in batches:
        counts.add(pa.array(batch))
        plain.update(map(str, batch))
    assert counts.top(3) == sorted(plain.items(), key=lambda pair: (-pair[1], pair[0]))[:3]


def test_what_is_held_is_bounded_and_the_frequent_values_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "HELD", 100)
    counts = ValueCounts()
    for batch in range(50):
        counts.add(pa.array([*(f"rare {batch} {number}" for number in range(60)), *["common"] * 5]))
        assert sum(table.num_rows for table in counts.tables) <= 100
    assert counts.top(1) == [("common", 250)]
