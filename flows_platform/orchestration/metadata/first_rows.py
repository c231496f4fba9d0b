"""Renders a few rows as Dagster's table."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

import dagster as dg

from flows_platform.domain.decimals import plain
from flows_platform.domain.schema import Column, ColumnType

ROWS = 5
COLUMNS = 12  # more columns make the page scroll sideways
TEXT = 60  # characters of a value, at most
SAFE = 1 << 53  # a browser rounds integers from here on

TYPE_NAMES = {
    ColumnType.INT64: "INT64",
    ColumnType.STRING: "STRING",
    ColumnType.TIMESTAMP: "TIMESTAMP",
    ColumnType.FLOAT64: "FLOAT64",
    ColumnType.BOOL: "BOOL",
    ColumnType.JSON: "STRING (JSON)",
    ColumnType.DATE: "DATE",
    ColumnType.NUMERIC: "NUMERIC",
}


def rows_shown(columns: Iterable[Column], rows: Iterable[dict[str, object]]) -> dg.MetadataValue:
    """Rows as Dagster's table, with the first columns only."""
    shown = [*columns][:COLUMNS]
    schema = dg.TableSchema(columns=[dg.TableColumn(column.name, TYPE_NAMES[column.type]) for column in shown])
    records = [dg.TableRecord({column.name: cell(row[column.name]) for column in shown}) for row in rows]
    return dg.MetadataValue.table(records=records, schema=schema)


def cell(value: object) -> str | int | float | bool | None:
    """A value for a cell: long texts are cut, instants are in UTC."""
    match value:
        case None | bool() | float():
            return value
        case int():
            return value if abs(value) < SAFE else str(value)
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case Decimal():
            return plain(value)
        case _:
            return clipped(str(value), TEXT)


def clipped(text: str, length: int) -> str:
    """The text, or its beginning and an ellipsis."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
