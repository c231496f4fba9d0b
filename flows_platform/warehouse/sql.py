"""The SQL the warehouse runs. Text only: names come validated from the schema, values are bound as parameters.

Every statement runs with a default dataset, so tables go by their names alone.

Every name is in backquotes, also those that are given here: `hash` and `at` are reserved words. Tables go by names that
no column may have: BigQuery would read a column that is named as its table as the whole row. Grouping and order go by
place: BigQuery takes a name there for the output's, the emulator for the table's column.
"""

from collections.abc import Sequence
from datetime import timedelta

from flows_platform.domain.schema import Column, ColumnType, TableSchema, WarehouseTable
from flows_platform.warehouse.schema import identifier

# A column's value in the canonical form of domain/verification.py. Timestamps go as microseconds since 1970. FORMAT
# writes a double's digits exactly, and whether it keeps the sign of -0.0 is not said: hence the IF.
CANONICAL = {
    ColumnType.INT64: "CAST(`{0}` AS STRING)",
    ColumnType.STRING: "CONCAT(CAST(BYTE_LENGTH(`{0}`) AS STRING), ':', `{0}`)",
    ColumnType.TIMESTAMP: "CAST(UNIX_MICROS(`{0}`) AS STRING)",
    ColumnType.FLOAT64: "FORMAT('%.16e', IF(`{0}` = 0, 0.0, `{0}`))",
    ColumnType.BOOL: "CAST(CAST(`{0}` AS INT64) AS STRING)",
    ColumnType.JSON: "CONCAT(CAST(BYTE_LENGTH(`{0}`) AS STRING), ':', `{0}`)",
}


ROWS = "`_flows_rows`"  # the table that a statement reads
OLD, NEW = "`_flows_old`", "`_flows_new`"  # what a MERGE replaces, and by what
HASH = "`_flows_hash`"


def rows_of(table: WarehouseTable) -> str:
    """What a statement reads FROM."""
    return f"{_quoted(table.name)} AS {ROWS}"


def _quoted(*names: str, prefix: str = "") -> str:
    return ", ".join(f"{prefix}`{identifier(name)}`" for name in names)


def in_window(table: WarehouseTable, prefix: str = "") -> str:
    """The rows of the window `[@start, @end)`; plain comparisons, so that BigQuery prunes partitions."""
    time = f"{prefix}`{identifier(table.instant.name)}`"
    return f"{time} >= @start AND {time} < @end"


def merge(table: WarehouseTable, staging: str) -> str:
    """One atomic statement: the old rows of the window go, the staged ones come, with a derived event time if any."""
    return replacement(
        table, f"SELECT {_quoted(*table.schema.names)}{_derived(table)} FROM {_quoted(staging)} AS {ROWS}"
    )


def replacement(table: WarehouseTable, select: str) -> str:
    """One atomic statement: the old rows of the window go, those of the query `select` come."""
    columns = [column.name for column in table.columns]
    # guard: the MERGE deletes nothing else
    # guard: the MERGE deletes the window's old rows
    return (
        f"MERGE {_quoted(table.name)} AS {OLD} USING ({select}) AS {NEW} ON FALSE\n"
        f"WHEN NOT MATCHED BY SOURCE AND {in_window(table, f'{OLD}.')} THEN DELETE\n"
        f"WHEN NOT MATCHED BY TARGET THEN INSERT ({_quoted(*columns)}) VALUES ({_quoted(*columns, prefix=f'{NEW}.')})"
    )


def _derived(table: WarehouseTable) -> str:
    if table.event_time is None:
        return ""
    epoch = f"TIMESTAMP '{table.schema.epoch:%Y-%m-%d %H:%M:%S}+00:00'"
    seconds = f"INTERVAL {_quoted(table.schema.time)} SECOND"
    return f", TIMESTAMP_ADD({epoch}, {seconds}) AS {_quoted(table.event_time.name)}"


def count(table: WarehouseTable, where: str) -> str:
    """The number of rows."""
    return f"SELECT COUNT(*) AS `row_count` FROM {rows_of(table)} WHERE {where}"


def _canonical(column: Column) -> str:
    text = CANONICAL[column.type].format(identifier(column.name))
    return f"IFNULL({text}, '~')" if column.nullable else text


def digest(table: WarehouseTable, where: str) -> str:
    """Count, and the sums of the upper and lower halves of each row's hash.

    Halves of 32 bits keep an INT64 sum safe for 2^31 rows, where whole ones would overflow with the second row.
    """
    row = ", ',', ".join(_canonical(column) for column in table.schema.columns)
    upper, lower = (f"SUM(CAST(CONCAT('0x', SUBSTR({HASH}, {start}, 8)) AS INT64))" for start in (1, 9))
    return (
        f"SELECT COUNT(*) AS `row_count`, {upper} AS `upper`, {lower} AS `lower` "
        f"FROM (SELECT TO_HEX(SHA256(CONCAT({row}))) AS {HASH} FROM {rows_of(table)} WHERE {where})"
    )


def window_facts(table: WarehouseTable, where: str) -> str:
    """Rows, distinct keys, rows whose derived event time is not epoch + time, and the first and last instant."""
    event = _quoted(table.instant.name)
    return (
        f"SELECT COUNT(*) AS `row_count`, COUNT(DISTINCT {_key(table.schema)}) AS `distinct_keys`, "
        f"COUNTIF({_misplaced(table)}) AS `misplaced`, MIN({event}) AS `first_event`, MAX({event}) AS `last_event` "
        f"FROM {rows_of(table)} WHERE {where}"
    )


def _key(schema: TableSchema) -> str:
    """What identifies a row as one value: texts of several columns with their lengths, so that no two are alike."""
    if not schema.key_rest:
        return _quoted(schema.key)
    texts = [f"CAST({_quoted(name)} AS STRING)" for name in schema.keys]
    return "CONCAT(" + ", ':', ".join(f"CAST(LENGTH({text}) AS STRING), ':', {text}" for text in texts) + ")"


def _misplaced(table: WarehouseTable) -> str:
    """In seconds: adding an absurd `time` to a timestamp would overflow and fail the query."""
    if table.event_time is None:
        return "FALSE"
    event, time = _quoted(table.event_time.name), _quoted(table.schema.time)
    epoch = int(table.schema.epoch.timestamp())
    return f"UNIX_SECONDS({event}) - {epoch} <> {time} OR MOD(UNIX_MICROS({event}), 1000000) <> 0"


def window_counts(table: WarehouseTable, where: str) -> str:
    """Rows per slot of `@length` seconds from `@origin`."""
    slot = f"CAST(FLOOR((UNIX_SECONDS({_quoted(table.instant.name)}) - @origin) / @length) AS INT64)"
    return f"SELECT {slot} AS `slot`, COUNT(*) AS `row_count` FROM {rows_of(table)} WHERE {where} GROUP BY 1 ORDER BY 1"


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
