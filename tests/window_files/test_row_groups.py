"""Row groups end by rows or by bytes: memory has a bound, however long the rows are."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows_platform.columns.batches import arrow_schema
from flows_platform.domain.schema import Column, ColumnType, TableSchema
from flows_platform.window_files.parquet import GROUP_BYTES, GROUP_ROWS, REPEATS, Footer, ParquetSink, footer_of

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
    arrays = [pa.array(column, kind) for column, kind in zip(values, target.types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=target)


@pytest.mark.parametrize(("length", "rows"), [(1, GROUP_ROWS), (16_384, GROUP_BYTES // 16_384)])
def test_a_row_group_is_bounded_by_rows_and_by_bytes(tmp_path: Path, length: int, rows: int) -> None:
    one = batch("x" * length)
    with ParquetSink(tmp_path / "texts.parquet", SCHEMA) as sink:
        for _ in range(2 * rows // ROWS):
            sink.write(one)
    footer = pq.read_metadata(tmp_path / "texts.parquet")
    groups = [footer.row_group(index).num_rows for index in range(footer.num_row_groups)]
    assert sum(groups) == 2 * rows
    assert max(groups) <= rows


def dictionaries(path: Path) -> list[set[str]]:
    """The columns with a dictionary, by row group."""
    footer = pq.read_metadata(path)
    groups = [footer.row_group(index) for index in range(footer.num_row_groups)]
    columns = [[group.column(index) for index in range(group.num_columns)] for group in groups]
    return [{column.path_in_schema for column in group if column.has_dictionary_page} for group in columns]


def rows(first: int, texts: list[str]) -> pa.RecordBatch:
    values = [range(first, first + len(texts)), [datetime(2024, 1, 1, tzinfo=UTC)] * len(texts), texts]
    return pa.RecordBatch.from_arrays(
        [pa.array(column, kind) for column, kind in zip(values, arrow_schema(SCHEMA).types, strict=True)],
        schema=arrow_schema(SCHEMA),
    )


@pytest.mark.parametrize(
    ("distinct", "columns"), [(GROUP_ROWS // REPEATS - 1, {"at", "text"}), (GROUP_ROWS // REPEATS, {"at"})]
)
def test_columns_whose_values_repeat_in_the_first_row_group_have_dictionaries(
    tmp_path: Path, distinct: int, columns: set[str]
) -> None:
    first = rows(0, [str(number % distinct) for number in range(GROUP_ROWS)])
    later = rows(GROUP_ROWS, [f"other {number}" for number in range(GROUP_ROWS)])
    path = tmp_path / "texts.parquet"
    with ParquetSink(path, SCHEMA) as sink:
        sink.write(first)
        sink.write(later)
    assert dictionaries(path) == [columns] * 2
    assert pq.read_table(path).equals(pa.Table.from_batches([first, later]))
    assert pq.read_schema(path).equals(arrow_schema(SCHEMA))


def test_a_file_without_rows_has_its_columns_and_entries(tmp_path: Path) -> None:
    with ParquetSink(tmp_path / "none.parquet", SCHEMA) as sink:
        sink.footer = Footer(rejected=3, quarantine="abc")
    assert pq.read_table(tmp_path / "none.parquet").equals(arrow_schema(SCHEMA).empty_table())
    facts = footer_of(tmp_path / "none.parquet")
    assert (facts.rows, facts.rejected, facts.quarantine) == (0, 3, "abc")
