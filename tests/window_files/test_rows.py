"""A window file of any table: keys that are texts, times that are instants, columns that came later."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from flows_platform.columns.batches import arrow_schema
from flows_platform.domain.errors import SourceRefused
from flows_platform.domain.schema import TableSchema
from flows_platform.domain.verification import RowDigest
from flows_platform.window_files.duplicates import drop_repeats
from flows_platform.window_files.parquet import ParquetSink, file_digest, rows_of
from tests.warehouse.event_rows import EVENTS, event, microseconds
from tests.warehouse.flow_rows import Row

START = datetime(2024, 3, 5, tzinfo=UTC)
LATER = START + timedelta(microseconds=1)


def written(path: Path, batches: Sequence[Sequence[Row]], schema: TableSchema = EVENTS) -> ParquetSink:
    with ParquetSink(path, schema) as sink:
        for rows in batches:
            columns = [list(column) for column in zip(*rows, strict=True)]
            target = arrow_schema(schema)
            arrays = [pa.array(values, kind) for values, kind in zip(columns, target.types, strict=True)]
            sink.write(pa.RecordBatch.from_arrays(arrays, schema=target))
    return sink


def test_texts_rise_and_instants_have_a_range(tmp_path: Path) -> None:
    sink = written(tmp_path / "a", [[event("a", LATER), event("b", START)], [event("é", LATER)]])
    assert (sink.rows, sink.keys_rise) == (3, True)
    assert (sink.first_time, sink.last_time) == (START, LATER)


@pytest.mark.parametrize("second", ["b", "a"])
def test_a_text_that_does_not_rise_is_seen_across_batches(tmp_path: Path, second: str) -> None:
    assert not written(tmp_path / "a", [[event("b", START)], [event(second, START)]]).keys_rise


def test_identical_events_are_kept_once(tmp_path: Path) -> None:
    rows = [event("b", START, weight=0.1, details="{}"), event("a", START), event("b", START, weight=0.1, details="{}")]
    path = tmp_path / "events"
    written(path, [rows[:2], rows[2:]])
    assert drop_repeats(path, EVENTS).dropped == 1
    assert file_digest(path) == RowDigest.of(rows[:2])


def test_several_columns_may_identify_an_event(tmp_path: Path) -> None:
    both = replace(EVENTS, key="seen", key_rest=("name",))  # in another order than the file's columns
    rows = [event("a", START), event("b", START), event("a", LATER), event("b", START), event("a", START)]
    path = tmp_path / "events"
    assert not written(path, [rows[:2], rows[2:4], rows[4:]], both).keys_rise
    repeats = drop_repeats(path, both, pages=[0, 2, 4])
    assert (repeats.dropped, set(repeats.across)) == (2, {tuple(pair) for pair in ((START, "a"), (START, "b"))})
    assert file_digest(path) == RowDigest.of(rows[:3])
    written(path, [[*rows[:2], event("a", START, score=1.0)]], both)
    with pytest.raises(SourceRefused, match=r"have seen .*, name 'a' and differ"):
        drop_repeats(path, both)


@pytest.mark.parametrize("changed", [{"score": 7.9}, {"known": False}, {"details": "[]"}])
def test_events_of_one_key_that_differ_are_refused(tmp_path: Path, changed: dict[str, object]) -> None:
    path = tmp_path / "events"
    written(path, [[event("b", START), event("b", START, **changed)]])
    with pytest.raises(SourceRefused, match="name 'b' and differ"):
        drop_repeats(path, EVENTS)


def test_a_key_may_be_an_instant(tmp_path: Path) -> None:
    by_time = replace(EVENTS, key="seen")
    rows = [event("b", START), event("b", START), event("c", LATER)]
    path = tmp_path / "events"
    assert not written(path, [rows], by_time).keys_rise
    assert drop_repeats(path, by_time).dropped == 1


def test_a_key_may_be_a_decimal_and_a_date(tmp_path: Path) -> None:
    columns = tuple(replace(column, nullable=False) for column in EVENTS.columns if column.name in {"due", "amount"})
    by_amount = replace(EVENTS, columns=(EVENTS.column("seen"), *columns), key="amount")
    at = microseconds(START)
    rows: list[Row] = [(at, 19_783, Decimal("-0.000000001")), (at, 19_782, Decimal("1.5"))]
    path = tmp_path / "events"
    assert written(path, [rows], by_amount).keys_rise
    assert not written(path, [[*rows, rows[0]]], by_amount).keys_rise
    assert drop_repeats(path, by_amount).dropped == 1
    assert file_digest(path) == RowDigest.of(rows)
    both = replace(by_amount, key="due", key_rest=("amount",))
    written(path, [[*rows, rows[1]]], both)
    assert drop_repeats(path, both).dropped == 1
    written(path, [[*rows, (at + 1, *rows[1][1:])]], both)
    with pytest.raises(SourceRefused, match=r"have due 2024-02-29, amount 1\.5 and differ"):
        drop_repeats(path, both)


def test_a_nullable_column_that_came_later_is_null(tmp_path: Path) -> None:
    older = replace(EVENTS, columns=tuple(column for column in EVENTS.columns if column.name != "details"))
    index = EVENTS.names.index("details")
    row = event("a", START)
    written(tmp_path / "a", [[(*row[:index], *row[index + 1 :])]], older)
    (batch,) = rows_of(tmp_path / "a", EVENTS)
    assert batch.column("details").null_count == 1
    assert batch.schema == arrow_schema(EVENTS)
