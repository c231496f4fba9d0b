"""The digest computed by the warehouse is the digest of the rows, for any values."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows_platform.columns.raw_records import json_text
from flows_platform.domain.schema import INT64_MAX, INT64_MIN, Column, ColumnType, TableSchema
from flows_platform.domain.verification import RowDigest
from flows_platform.sources.lanl_flows.schema import FLOWS, FLOWS_TABLE
from flows_platform.warehouse.replace_window import Publication
from flows_platform.warehouse.warehouse import Warehouse
from flows_platform.window_files.check import CheckedFile
from tests.warehouse.flow_rows import Row, window, write_parquet

# Every type, nullable or not.
ODDITIES = TableSchema(
    name="oddities",
    description="",
    columns=(
        Column("id", ColumnType.INT64, ""),
        Column("time", ColumnType.INT64, ""),
        Column("number", ColumnType.INT64, "", nullable=True),
        Column("text", ColumnType.STRING, ""),
        Column("note", ColumnType.STRING, "", nullable=True),
        Column("seen", ColumnType.TIMESTAMP, "", nullable=True),
        Column("score", ColumnType.FLOAT64, ""),
        Column("weight", ColumnType.FLOAT64, "", nullable=True),
        Column("known", ColumnType.BOOL, "", nullable=True),
        Column("more", ColumnType.JSON, "", nullable=True),
        Column("day", ColumnType.DATE, "", nullable=True),
        Column("amount", ColumnType.NUMERIC, ""),
        Column("fee", ColumnType.NUMERIC, "", nullable=True),
    ),
    key="id",
    time="time",
    epoch=FLOWS.epoch,
)
TABLE = replace(FLOWS_TABLE, schema=ODDITIES, clustering=("text",))

INT64 = st.integers(INT64_MIN, INT64_MAX) | st.sampled_from([INT64_MIN, INT64_MAX, 0, -1])
TEXT = st.text() | st.sampled_from(["", "\0", "a\0b", "😀", "1:2,~", "~", "\ufeff", "é", "e\u0301", "\x7f\x80"])
# What both DuckDB and BigQuery hold: the years 1 to 9999, in microseconds since 1970.
MICROSECONDS = st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
DECIMALS = (st.integers(-(10**38) + 1, 10**38 - 1) | st.integers(-(10**12), 10**12)).map(
    lambda billionths: Decimal(f"{billionths}e-9")
)
ROWS = st.lists(
    st.tuples(
        INT64,
        st.integers(0, 10799),
        st.none() | INT64,
        TEXT,
        st.none() | TEXT,
        st.none() | MICROSECONDS,
        FLOATS,
        st.none() | FLOATS,
        st.none() | st.booleans(),
        st.none() | TEXT.map(json_text),
        st.none() | st.integers(-719_162, 2_932_896),  # days since 1970
        DECIMALS,
        st.none() | DECIMALS,
    ),
    max_size=60,
)


@pytest.mark.slow
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS)
def test_the_warehouse_digests_any_rows_as_python_does(warehouse: Warehouse, tmp_path: Path, rows: list[Row]) -> None:
    warehouse.ensure_table(TABLE)
    path = write_parquet(tmp_path / f"{uuid4().hex}.parquet", rows, ODDITIES)
    warehouse.replace_window(Publication(TABLE, window(0), CheckedFile(path, "sha", len(rows)), "r"))
    assert warehouse.digest(TABLE) == RowDigest.of(rows)
