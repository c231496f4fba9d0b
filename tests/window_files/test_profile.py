"""What a staged file's rows spread over, and its first rows."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
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
from flows_platform.window_files.profile import ValueCounts, first_rows, spread_of

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


def staged(path: Path, of: TableSchema, times: Sequence[object], kinds: list[str | None]) -> Path:
    with ParquetSink(path, of) as sink:
        if times:
            columns = {"id": [*range(len(times))], "at": times, "kind": kinds}
            sink.write(pa.RecordBatch.from_pydict(columns, schema=arrow_schema(of)))
    return path


@pytest.mark.parametrize("time", [ColumnType.INT64, ColumnType.TIMESTAMP])
def test_rows_by_slice_and_by_value(time: ColumnType, tmp_path: Path) -> None:
    offsets = [timedelta(0), timedelta(minutes=9, seconds=59), timedelta(minutes=10), timedelta(hours=2, minutes=59)]
    seconds = [int((timedelta(days=1) + each).total_seconds()) for each in offsets]
    times = seconds if time is ColumnType.INT64 else [START + each for each in offsets]
    path = staged(tmp_path / "w.parquet", schema(time), times, ["a", None, "b", "a"])
    spread = spread_of(path, schema(time), WINDOW, TEN, ["kind"])
    assert len(spread.slices) == 18
    assert [pair for pair in spread.slices if pair[1]] == [(START, 2), (START + TEN, 1), (WINDOW.end - TEN, 1)]
    assert spread.values["kind"].top(2) == [("a", 2), ("b", 1)]
    assert dict(spread.values["kind"].top(9))[None] == 1
    assert [row["id"] for row in first_rows(path, 3)] == [0, 1, 2]


def test_an_empty_file_has_slices_and_no_rows(tmp_path: Path) -> None:
    of = schema(ColumnType.TIMESTAMP)
    path = staged(tmp_path / "w.parquet", of, [], [])
    spread = spread_of(path, of, WINDOW, TEN, ["kind"])
    assert {count for _, count in spread.slices} == {0}
    assert spread.values["kind"].top(3) == []
    assert first_rows(path, 3) == []


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
        assert sum(part.num_rows for part in counts.parts) <= 100
    assert counts.top(1) == [("common", 250)]
