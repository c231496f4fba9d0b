"""Windows as values of the time column, for both types that a time may have."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from flows_platform.columns.batches import arrow_schema, bounds_in, inside
from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.schema import Column, ColumnType, TableSchema
from flows_platform.domain.windows import Window

EPOCH = datetime(2020, 5, 1, tzinfo=UTC)
WINDOW = Window(EPOCH + timedelta(hours=3), EPOCH + timedelta(hours=6))
HOUR = 3600


def _schema(kind: ColumnType) -> TableSchema:
    return TableSchema("seen", "", (Column("at", kind, ""),), "at", "at", EPOCH)


def _mask(schema: TableSchema, times: list[object]) -> list[bool]:
    batch = pa.RecordBatch.from_pylist([{"at": time} for time in times], schema=arrow_schema(schema))
    mask: list[bool] = inside(batch, schema, WINDOW).to_pylist()
    return mask


def test_seconds_count_from_the_schemas_own_epoch() -> None:
    schema = _schema(ColumnType.INT64)
    assert bounds_in(schema, WINDOW) == (3 * HOUR, 6 * HOUR)
    assert _mask(schema, [3 * HOUR - 1, 3 * HOUR, 6 * HOUR - 1, 6 * HOUR]) == [False, True, True, False]


def test_the_first_window_of_the_epoch_starts_at_second_0() -> None:
    assert bounds_in(_schema(ColumnType.INT64), Window(EPOCH, EPOCH + timedelta(hours=1))) == (0, HOUR)


def test_instants_are_compared_to_the_microsecond() -> None:
    schema, tick = _schema(ColumnType.TIMESTAMP), timedelta(microseconds=1)
    assert bounds_in(schema, WINDOW) == (WINDOW.start, WINDOW.end)
    times: list[object] = [WINDOW.start - tick, WINDOW.start, WINDOW.end - tick, WINDOW.end]
    assert _mask(schema, times) == [False, True, True, False]


def test_no_rows_have_no_answers() -> None:
    assert _mask(_schema(ColumnType.INT64), []) == []


def test_seconds_have_no_window_before_the_epoch() -> None:
    with pytest.raises(ConfigurationError, match="before the epoch"):
        bounds_in(_schema(ColumnType.INT64), Window(EPOCH - timedelta(hours=1), EPOCH))
