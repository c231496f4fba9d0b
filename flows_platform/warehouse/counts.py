"""How a table's rows spread over hours or days and over columns' values: one query, for looking at. Text only."""

from collections.abc import Sequence
from datetime import timedelta

from flows_platform.domain.schema import WarehouseTable
from flows_platform.warehouse.schema import identifier
from flows_platform.warehouse.sql import in_window, rows_of

BY_TIME = ""  # what the rows by time go by, beside the columns' names


def spread(table: WarehouseTable, step: timedelta, columns: Sequence[str], top: int, sum_of: str = "") -> str:
    """For the rows of `[@start, @end)`: `of` (a column, or `BY_TIME`), `value` as text, `number`.

    The number is of rows, or the sum of the column `sum_of`; NULL where that passes 64 bits. By time the value is the
    slice's start in seconds since 1970, of columns there are the `top` values with the highest number.
    """
    number = f"SAFE_CAST(SUM(CAST(`{identifier(sum_of)}` AS NUMERIC)) AS INT64)" if sum_of else "COUNT(*)"
    seconds = step // timedelta(seconds=1)
    start = f"DIV(UNIX_SECONDS(`{identifier(table.instant.name)}`), {seconds}) * {seconds}"
    parts = [_counted(table, BY_TIME, start, number), *(f"({_top(table, each, number, top)})" for each in columns)]
    return "\nUNION ALL\n".join(parts)


def _top(table: WarehouseTable, column: str, number: str, top: int) -> str:
    counted = _counted(table, column, f"`{identifier(column)}`", number)
    return f"{counted} ORDER BY 3 DESC, 2 LIMIT {top}"


def _counted(table: WarehouseTable, of: str, value: str, number: str) -> str:
    return (
        f"SELECT '{of}' AS `of`, CAST({value} AS STRING) AS `value`, {number} AS `number` "
        f"FROM {rows_of(table)} WHERE {in_window(table)} GROUP BY 2"
    )


def first_rows(table: WarehouseTable, number: int) -> str:
    """The rows of `[@start, @end)` with the first keys."""
    keys = ", ".join(f"`{identifier(key)}`" for key in table.schema.keys)
    return f"SELECT * FROM {rows_of(table)} WHERE {in_window(table)} ORDER BY {keys} LIMIT {number}"
