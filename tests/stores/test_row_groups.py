"""Row groups end by rows or by bytes: what is held in memory has a bound, whatever a row takes."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows_platform.domain.schema import Column, ColumnType, TableSchema
from flows_platform.stores.parquet import GROUP_BYTES, GROUP_ROWS, ParquetSink
from flows_platform.wire.arrow_schema import arrow_schema

SCHEMA = TableSchema(
    "texts",
    "",
    (
        Column("id", ColumnType.INT64, ""),
        Column("at", ColumnType.TIMESTAMP, ""),
        Column("text", ColumnType.STRING, ""),
    ),
    key="id",
    time="at",
)
ROWS = 256  # a batch


def batch(text: str) -> pa.RecordBatch:
    values = [list(range(ROWS)), [datetime(2024, 1, 1, tzinfo=UTC)] * ROWS, [text] * ROWS]
    target = arrow_schema(SCHEMA)
    arrays = [pa.array(each, kind) for each, kind in zip(values, target.types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=target)


@pytest.mark.parametrize(("length", "rows"), [(1, GROUP_ROWS), (16_384, GROUP_BYTES // 16_384)])
def test_a_row_group_is_bounded_by_rows_and_by_bytes(tmp_path: Path, length: int, rows: int) -> None:
    one = batch("x" * length)
    with ParquetSink(tmp_path / "texts.parquet", SCHEMA) as sink:
        for _ in range(2 * rows // ROWS):
            sink.write(one)
    footer = pq.read_metadata(tmp_path / "texts.parquet")
    groups = [footer.row_group(place).num_rows for place in range(footer.num_row_groups)]
    assert sum(groups) == 2 * rows
    assert max(groups) <= rows
