"""The SQL that the warehouse runs. Text only: the schema has validated all names, values are bound as parameters.

Every statement runs with a default dataset, so table names need no prefix.

Every name is in backquotes, also the ones chosen here: `hash` and `at` are reserved words. Tables have aliases that no
column may have: BigQuery reads a column with its table's name as the whole row. GROUP BY and ORDER BY use positions:
BigQuery takes a name there as the output column, the emulator as the table's column.
"""

from collections.abc import Sequence
from datetime import timedelta

from flows_platform.domain.schema import Column, ColumnType, TableSchema, WarehouseTable
from flows_platform.warehouse.schema import identifier

# A NUMERIC as plain decimal text. BigQuery's CAST gives 1.5, the emulator's 1.500000000.
PLAIN_NUMBER = r"REGEXP_REPLACE(REGEXP_REPLACE(CAST(`{0}` AS STRING), r'([.][0-9]*?)0+$', r'\1'), r'[.]$', '')"
# A column's value in the canonical form of domain/verification.py. Timestamps are microseconds since 1970. FORMAT
# writes a double's digits exactly, but its documentation does not say whether it keeps the sign of -0.0: hence the IF.
CANONICAL = {
    ColumnType.INT64: "CAST(`{0}` AS STRING)",
    ColumnType.STRING: "CONCAT(CAST(BYTE_LENGTH(`{0}`) AS STRING), ':', `{0}`)",
    ColumnType.TIMESTAMP: "CAST(UNIX_MICROS(`{0}`) AS STRING)",
    ColumnType.FLOAT64: "FORMAT('%.16e', IF(`{0}` = 0, 0.0, `{0}`))",
    ColumnType.BOOL: "CAST(CAST(`{0}` AS INT64) AS STRING)",
    ColumnType.JSON: "CONCAT(CAST(BYTE_LENGTH(`{0}`) AS STRING), ':', `{0}`)",
    ColumnType.DATE: "CAST(UNIX_DATE(`{0}`) AS STRING)",
    ColumnType.NUMERIC: PLAIN_NUMBER,
}


ROWS = "`_flows_rows`"  # the table that a statement reads
OLD, NEW = "`_flows_old`", "`_flows_new`"  # target and source of a MERGE
HASH = "`_flows_hash`"


def rows_of(table: WarehouseTable) -> str:
    """The FROM clause's table."""
    return f"{_quoted(table.name)} AS {ROWS}"


def _quoted(*names: str, prefix: str = "") -> str:
    return ", ".join(f"{prefix}`{identifier(name)}`" for name in names)


def in_window(table: WarehouseTable, prefix: str = "") -> str:
    """The condition for rows in the window `[@start, @end)`: plain comparisons, so that BigQuery prunes partitions."""
    time = f"{prefix}`{identifier(table.instant.name)}`"
    return f"{time} >= @start AND {time} < @end"


def merge(table: WarehouseTable, staging: str) -> str:
    """One atomic statement that replaces the window with the rows of `staging`, with a derived event time if any."""
    return replacement(
        table, f"SELECT {_quoted(*table.schema.names)}{_derived(table)} FROM {_quoted(staging)} AS {ROWS}"
    )


def replacement(table: WarehouseTable, select: str) -> str:
    """One atomic statement that replaces the window with the rows of the query `select`."""
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
    """The row count, and the sums of the upper and lower halves of all row hashes.

    Sums of 32-bit halves fit INT64 for up to 2^31 rows; sums of whole hashes would overflow at the second row.
    """
    row = ", ',', ".join(_canonical(column) for column in table.schema.columns)
    upper, lower = (f"SUM(CAST(CONCAT('0x', SUBSTR({HASH}, {start}, 8)) AS INT64))" for start in (1, 9))
    return (
        f"SELECT COUNT(*) AS `row_count`, {upper} AS `upper`, {lower} AS `lower` "
        f"FROM (SELECT TO_HEX(SHA256(CONCAT({row}))) AS {HASH} FROM {rows_of(table)} WHERE {where})"
    )


def window_summary(table: WarehouseTable, where: str) -> str:
    """Rows, distinct keys, rows whose derived event time is not epoch + time, and the first and last instant."""
    event = _quoted(table.instant.name)
    return (
        f"SELECT COUNT(*) AS `row_count`, COUNT(DISTINCT {_key(table.schema)}) AS `distinct_keys`, "
        f"COUNTIF({_misplaced(table)}) AS `misplaced`, MIN({event}) AS `first_event`, MAX({event}) AS `last_event` "
        f"FROM {rows_of(table)} WHERE {where}"
    )


def _key(schema: TableSchema) -> str:
    """The key as one value: several columns as texts with their lengths, so that different keys stay different."""
    if not schema.key_rest:
        return _quoted(schema.key)
    texts = [f"CAST({_quoted(name)} AS STRING)" for name in schema.keys]
    return "CONCAT(" + ", ':', ".join(f"CAST(LENGTH({text}) AS STRING), ':', {text}" for text in texts) + ")"


def _misplaced(table: WarehouseTable) -> str:
    """Whether the event time is not epoch + time. In seconds: adding a huge `time` to a timestamp would overflow."""
    if table.event_time is None:
        return "FALSE"
    event, time = _quoted(table.event_time.name), _quoted(table.schema.time)
    epoch = int(table.schema.epoch.timestamp())
    return f"UNIX_SECONDS({event}) - {epoch} <> {time} OR MOD(UNIX_MICROS({event}), 1000000) <> 0"


def window_counts(table: WarehouseTable, where: str) -> str:
    """Rows per slot of `@length` seconds from `@origin`."""
    slot = f"CAST(FLOOR((UNIX_SECONDS({_quoted(table.instant.name)}) - @origin) / @length) AS INT64)"
    return f"SELECT {slot} AS `slot`, COUNT(*) AS `row_count` FROM {rows_of(table)} WHERE {where} GROUP BY 1 ORDER BY 1"


BY_TIME = ""  # `of` for the rows by time; a column's name for all others


def spread(table: WarehouseTable, step: timedelta, columns: Sequence[str], top: int, sum_of: str = "") -> str:
    """Counts of the rows in `[@start, @end)`: `of` (a column, or `BY_TIME`), `value` as text, `number`.

    `number` counts rows, or is the sum of the column `sum_of`; NULL if the sum does not fit 64 bits. For `BY_TIME` the
    value is a slice's start in seconds since 1970; for a column there are the `top` values with the highest numbers.
    """
    number = f"SAFE_CAST(SUM(CAST(`{identifier(sum_of)}` AS NUMERIC)) AS INT64)" if sum_of else "COUNT(*)"
    seconds = step // timedelta(seconds=1)
    start = f"DIV(UNIX_SECONDS(`{identifier(table.instant.name)}`), {seconds}) * {seconds}"
    by_time = _counted(table, BY_TIME, start, number)
    return "\nUNION ALL\n".join([by_time, *(f"({_top(table, column, number, top)})" for column in columns)])


def _top(table: WarehouseTable, column: str, number: str, top: int) -> str:
    numeric = table.schema.column(column).type is ColumnType.NUMERIC
    counted = _counted(table, column, (PLAIN_NUMBER if numeric else "`{0}`").format(identifier(column)), number)
    return f"{counted} ORDER BY 3 DESC, 2 LIMIT {top}"


def _counted(table: WarehouseTable, of: str, value: str, number: str) -> str:
    return (
        f"SELECT '{of}' AS `of`, CAST({value} AS STRING) AS `value`, {number} AS `number` "
        f"FROM {rows_of(table)} WHERE {in_window(table)} GROUP BY 2"
    )


def first_rows(table: WarehouseTable, number: int) -> str:
    """The first rows of `[@start, @end)`, ordered by key."""
    keys = ", ".join(f"`{identifier(key)}`" for key in table.schema.keys)
    return f"SELECT * FROM {rows_of(table)} WHERE {in_window(table)} ORDER BY {keys} LIMIT {number}"
