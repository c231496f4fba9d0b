"""The SQL the warehouse runs. Text only: names come validated from the schema, values are bound as parameters.

Every statement runs with a default dataset, so tables go by their names alone.
"""

from flows_platform.domain.schema import Column, ColumnType, WarehouseTable
from flows_platform.stores.bigquery_schema import identifier

# A column's value in the canonical form of domain/verification.py. Timestamps go as microseconds since 1970.
CANONICAL = {
    ColumnType.INT64: "CAST(`{0}` AS STRING)",
    ColumnType.STRING: "CONCAT(CAST(BYTE_LENGTH(`{0}`) AS STRING), ':', `{0}`)",
    ColumnType.TIMESTAMP: "CAST(UNIX_MICROS(`{0}`) AS STRING)",
}


def _quoted(*names: str, prefix: str = "") -> str:
    return ", ".join(f"{prefix}`{identifier(name)}`" for name in names)


def in_window(table: WarehouseTable, prefix: str = "") -> str:
    """The rows of the window `[@start, @end)`; plain comparisons, so that BigQuery prunes partitions."""
    time = f"{prefix}`{identifier(table.event_time.name)}`"
    return f"{time} >= @start AND {time} < @end"


def merge(table: WarehouseTable, staging: str) -> str:
    """One atomic statement: the window's old rows go, the staged ones come with their event time."""
    columns = table.schema.names
    added = (*columns, table.event_time.name)
    return (
        f"MERGE {_quoted(table.name)} t USING ("
        f"SELECT {_quoted(*columns)}, TIMESTAMP_ADD(TIMESTAMP '{table.epoch:%Y-%m-%d %H:%M:%S}+00:00', "
        f"INTERVAL {_quoted(table.schema.time)} SECOND) AS {_quoted(table.event_time.name)} FROM {_quoted(staging)}"
        f") s ON FALSE\n"
        f"WHEN NOT MATCHED BY SOURCE AND {in_window(table, 't.')} THEN DELETE\n"
        f"WHEN NOT MATCHED BY TARGET THEN INSERT ({_quoted(*added)}) VALUES ({_quoted(*added, prefix='s.')})"
    )


def count(table: WarehouseTable, where: str) -> str:
    """The number of rows."""
    return f"SELECT COUNT(*) AS row_count FROM {_quoted(table.name)} WHERE {where}"


def _canonical(column: Column) -> str:
    text = CANONICAL[column.type].format(identifier(column.name))
    return f"IFNULL({text}, '~')" if column.nullable else text


def digest(table: WarehouseTable, where: str) -> str:
    """Count, and the sums of the upper and lower halves of each row's hash.

    Halves of 32 bits keep an INT64 sum safe for 2^31 rows, where whole ones would overflow with the second row.
    """
    row = ", ',', ".join(_canonical(column) for column in table.schema.columns)
    upper, lower = (f"SUM(CAST(CONCAT('0x', SUBSTR(hash, {start}, 8)) AS INT64))" for start in (1, 9))
    return (
        f"SELECT COUNT(*) AS row_count, {upper} AS upper, {lower} AS lower "
        f"FROM (SELECT TO_HEX(SHA256(CONCAT({row}))) AS hash FROM {_quoted(table.name)} WHERE {where})"
    )


def window_facts(table: WarehouseTable, where: str) -> str:
    """Rows, distinct keys, rows whose event time is not epoch + time, and the first and last event time.

    Compared in seconds: adding an absurd `time` to a timestamp would overflow and fail the query.
    """
    event, time = _quoted(table.event_time.name), _quoted(table.schema.time)
    misplaced = f"UNIX_SECONDS({event}) - @epoch <> {time} OR MOD(UNIX_MICROS({event}), 1000000) <> 0"
    return (
        f"SELECT COUNT(*) AS row_count, COUNT(DISTINCT {_quoted(table.schema.key)}) AS distinct_keys, "
        f"COUNTIF({misplaced}) AS misplaced, MIN({event}) AS first_event, MAX({event}) AS last_event "
        f"FROM {_quoted(table.name)} WHERE {where}"
    )


def window_counts(table: WarehouseTable) -> str:
    """Rows per window of a grid that starts at `@origin` with windows of `@length` seconds."""
    slot = f"CAST(FLOOR((UNIX_SECONDS({_quoted(table.event_time.name)}) - @origin) / @length) AS INT64)"
    return f"SELECT {slot} AS slot, COUNT(*) AS row_count FROM {_quoted(table.name)} GROUP BY slot ORDER BY slot"
