"""A few rows as Dagster's table. Which rows, others say."""

from collections.abc import Iterable
from datetime import datetime

import dagster as dg

from flows_platform.domain.schema import Column, ColumnType

ROWS = 5
COLUMNS = 12  # more make the page scroll sideways
TEXT = 60  # characters of a value
SAFE = 1 << 53  # integers from here on a browser rounds

TYPE_NAMES = {
    ColumnType.INT64: "INT64",
    ColumnType.STRING: "STRING",
    ColumnType.TIMESTAMP: "TIMESTAMP",
    ColumnType.FLOAT64: "FLOAT64",
    ColumnType.BOOL: "BOOL",
    ColumnType.JSON: "STRING (JSON)",
}


def rows_shown(columns: Iterable[Column], rows: Iterable[dict[str, object]]) -> dg.MetadataValue:
    """Rows as Dagster's table, the first columns of each."""
    shown = [*columns][:COLUMNS]
    schema = dg.TableSchema(columns=[dg.TableColumn(each.name, TYPE_NAMES[each.type]) for each in shown])
    records = [dg.TableRecord({each.name: cell(row[each.name]) for each in shown}) for row in rows]
    return dg.MetadataValue.table(records=records, schema=schema)


def cell(value: object) -> str | int | float | bool | None:
    """A value as a cell holds it: long texts cut, instants in UTC."""
    match value:
        case None | bool() | float():
            return value
        case int():
            return value if abs(value) < SAFE else str(value)
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case _:
            return clipped(str(value), TEXT)


def clipped(text: str, length: int) -> str:
    """The text, or its beginning and a mark."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
