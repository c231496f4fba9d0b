"""No name in a statement can be mistaken for another: every name is quoted, and a column may have any name."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
from google.cloud import bigquery

from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.schema import Column, ColumnType, Granularity, TableSchema, WarehouseTable
from flows_platform.domain.verification import Digested, RowDigest
from flows_platform.domain.windows import WindowGrid
from flows_platform.sources.lanl_flows.schema import FLOWS, FLOWS_TABLE, TRAFFIC, TRAFFIC_TABLE
from flows_platform.sources.lanl_flows.traffic import DIFFERING_HOURS, HOURLY_TRAFFIC
from flows_platform.warehouse import sql as builders
from flows_platform.warehouse.replace_window import Publication, bounds_of
from flows_platform.warehouse.sql import first_rows, spread
from flows_platform.warehouse.warehouse import Warehouse, WindowSummary
from flows_platform.window_files.check import CheckedFile
from tests.warehouse.flow_rows import write_parquet

# https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical#reserved_keywords
KEYWORDS = """
ALL AND ANY ARRAY AS ASC ASSERT_ROWS_MODIFIED AT BETWEEN BY CASE CAST COLLATE CONTAINS CREATE CROSS CUBE CURRENT DEFAULT
DEFINE DESC DISTINCT ELSE END ENUM ESCAPE EXCEPT EXCLUDE EXISTS EXTRACT FALSE FETCH FOLLOWING FOR FROM FULL GROUP
GROUPING GROUPS HASH HAVING IF IGNORE IN INNER INTERSECT INTERVAL INTO IS JOIN LATERAL LEFT LIKE LIMIT LOOKUP MERGE
NATURAL NEW NO NOT NULL NULLS OF ON OR ORDER OUTER OVER PARTITION PRECEDING PROTO QUALIFY RANGE RECURSIVE RESPECT RIGHT
ROLLUP ROWS SELECT SET SOME STRUCT TABLESAMPLE THEN TO TREAT TRUE UNBOUNDED UNION UNNEST USING WHEN WHERE WINDOW WITH
WITHIN
"""
OUTPUT = "row_count upper lower distinct_keys misplaced first_event last_event slot of value number"
INNER = "instant computer peer hour flows packets bytes peers base held _flows_rows _flows_old _flows_new _flows_hash"
# Unquoted words in statements besides keywords: functions, types, units, clauses of MERGE.
OTHERS = """
INSERT VALUES DELETE MATCHED TARGET SOURCE HOUR SECOND COUNT COUNTIF SUM MIN MAX CONCAT SUBSTR TO_HEX SHA256 IFNULL
FORMAT BYTE_LENGTH UNIX_MICROS UNIX_SECONDS MOD DIV FLOOR SAFE_CAST TIMESTAMP TIMESTAMP_ADD TIMESTAMP_TRUNC STRING INT64
NUMERIC UNIX_DATE REGEXP_REPLACE
"""
RESERVED, GIVEN = KEYWORDS.split(), set(OUTPUT.split())
WRITTEN, WORDS = GIVEN | set(INNER.split()), {*RESERVED, *OTHERS.split()}


def table_of(names: list[str], time: Column, event_time: Column | None = None) -> WarehouseTable:
    kinds = [kind for kind in ColumnType if kind is not ColumnType.TIMESTAMP]
    columns = [Column(name, kinds[at % len(kinds)], "", nullable=at % 2 == 0) for at, name in enumerate(names)]
    schema = TableSchema("value", "", (Column("key", ColumnType.STRING, ""), time, *columns), "key", time.name)
    return WarehouseTable(schema, (), event_time, Granularity.DAY)


NAMES = sorted({*(word.lower() for word in RESERVED if word != "AT"), *GIVEN, "t", "s", "row_hash"})
AT = Column("at", ColumnType.TIMESTAMP, "")
ODD = table_of(NAMES, AT)  # also named like one of its columns
DERIVED = table_of(NAMES, Column("time", ColumnType.INT64, ""), Column("at", ColumnType.TIMESTAMP, ""))


def statements(table: WarehouseTable) -> Iterator[str]:
    """Every builder's statement on the table."""
    names = [column.name for column in table.schema.columns]
    for where in ("TRUE", builders.in_window(table)):
        yield builders.count(table, where)
        yield builders.digest(table, where)
        yield builders.window_summary(table, where)
        yield builders.window_counts(table, where)
    yield builders.merge(table, f"{table.name}__staging_0")
    yield spread(table, timedelta(hours=1), names, 6)
    yield spread(table, timedelta(hours=1), names, 6, sum_of=names[0])
    yield first_rows(table, 5)


def test_a_column_may_not_be_named_as_our_own_names_are() -> None:
    with pytest.raises(ConfigurationError, match="'_Flows_rows' of value: names that begin with _flows_ are the"):
        table_of(["_Flows_rows"], AT)


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["1a"], "a letter or _, then letters"),
        (["größe"], "a letter or _, then letters"),
        (["a" * 301], "300 at most"),
        (["_Partitiontime"], "begin with _PARTITION are BigQuery's own"),
        (["__ROOT__x"], "begin with __ROOT__ are"),
        (["_change_TYPE"], "begin with _CHANGE_TYPE are"),
        (["Note", "note"], "'Note' differs from it only in case"),
    ],
)
def test_a_column_may_not_have_a_name_that_bigquery_refuses(names: list[str], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        table_of(names, AT)


def test_a_column_may_have_the_longest_name_that_bigquery_takes() -> None:
    assert "a" * 300 in [column.name for column in table_of(["a" * 300], AT).columns]


@pytest.mark.parametrize("table", [ODD, DERIVED, FLOWS_TABLE, TRAFFIC_TABLE], ids=lambda table: table.name)
def test_every_name_is_quoted_and_is_the_tables_or_ours(table: WarehouseTable) -> None:
    for sql in statements(table):
        check_names(sql, {table.name, f"{table.name}__staging_0", *(column.name for column in table.columns)})


def test_so_are_those_of_the_derived_table() -> None:
    known = {FLOWS.name, TRAFFIC.name, *(column.name for column in (*FLOWS_TABLE.columns, *TRAFFIC_TABLE.columns))}
    for sql in (builders.replacement(TRAFFIC_TABLE, HOURLY_TRAFFIC.select), DIFFERING_HOURS):
        check_names(sql, known)


def check_names(sql: str, known: set[str]) -> None:
    bare = re.sub(r"(?:\br)?'[^']*'|@[a-z]+", " ", sql)
    quoted = set(re.findall("`([^`]*)`", bare))
    assert quoted <= known | WRITTEN, sql
    words = {word for word in re.findall(r"[A-Za-z_]\w*", re.sub("`[^`]*`", " ", bare)) if not word.isdigit()}
    assert words <= WORDS, sql


# Names that statements use or used; the emulator cannot create a table with all reserved words as columns.
FEW = table_of(["hash", "of", "value", "slot", "number", "row_count", "upper", "t", "s"], AT)
VALUES: dict[ColumnType, Digested] = {
    ColumnType.INT64: 7,
    ColumnType.STRING: "é",
    ColumnType.FLOAT64: 0.5,
    ColumnType.BOOL: True,
    ColumnType.JSON: "{}",
    ColumnType.DATE: 19_783,
    ColumnType.NUMERIC: Decimal("1.5"),
}


@pytest.mark.slow
def test_columns_named_as_what_statements_name_are_replaced_counted_and_digested(
    client: bigquery.Client, tmp_path: Path
) -> None:
    warehouse = Warehouse(client, f"test_{uuid4().hex}", "US", tmp_path / "locks", timeout=60.0, attempts=1)
    warehouse.ensure_table(FEW)
    day = WindowGrid(datetime(2024, 1, 1, tzinfo=UTC), timedelta(days=1)).floor(datetime(2024, 1, 1, 5, tzinfo=UTC))
    instant = int(day.start.timestamp()) * 1_000_000
    values = [VALUES[column.type] for column in FEW.schema.columns[2:]]
    rows = [("a", instant, *values), ("b", instant + 1, *values)]
    path = write_parquet(tmp_path / "day.parquet", rows, FEW.schema)
    for _ in range(2):
        warehouse.replace_window(Publication(FEW, day, CheckedFile(path, "sha", len(rows)), "run"))
    assert warehouse.digest(FEW, day) == RowDigest.of(rows)
    assert warehouse.window_summary(FEW) == WindowSummary(2, 2, 0, day.start, day.start + timedelta(microseconds=1))
    grid = WindowGrid(day.start, timedelta(days=1))
    assert warehouse.window_counts(FEW, grid) == warehouse.window_counts(FEW, grid, day) == {day: 2}
    assert warehouse.window_counts(FEW, grid, grid.after(day)) == {}
    charted = ["value", "slot", "number", "hash", "of"]
    counted = warehouse.select(spread(FEW, timedelta(hours=1), charted, 6), bounds_of(day), "counting")
    assert {(row["of"], row["number"]) for row in counted} == {(name, 2) for name in ("", *charted)}
    assert [row["key"] for row in warehouse.select(first_rows(FEW, 2), bounds_of(day), "looking")] == ["a", "b"]
