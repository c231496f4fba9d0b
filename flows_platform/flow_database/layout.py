"""The layout of the database that a load builds and the API server reads: tables, index, load summary. SQL text only.

The table is STRICT with `id INTEGER PRIMARY KEY` and an index on time, so a window is a range read. If time never falls
as id grows (the load summary says so), the index gives the window's first and last id, and rows are read by id.
"""

from flows_platform.domain.schema import Column, ColumnType, TableSchema

SQLITE_TYPES = {
    ColumnType.INT64: "INTEGER",
    ColumnType.STRING: "TEXT",
    ColumnType.TIMESTAMP: "TEXT",
    ColumnType.FLOAT64: "REAL",
    ColumnType.BOOL: "INTEGER",  # 0 or 1
    ColumnType.JSON: "TEXT",
    ColumnType.DATE: "TEXT",
    ColumnType.NUMERIC: "TEXT",  # a number would become a double
}

# What the load learned about the rows, true until a later write. Triggers delete the summary with the first change, so
# a reader that finds none uses the rows alone.
SUMMARY_TABLE = "load_facts"
CREATE_SUMMARY = f"""CREATE TABLE {SUMMARY_TABLE} (
  table_name TEXT PRIMARY KEY,
  row_count INTEGER NOT NULL,
  time_sorted INTEGER NOT NULL,    -- 1: time never falls as id grows
  ids_contiguous INTEGER NOT NULL  -- 1: every id from the first to the last is there
) STRICT"""

# Lines that the load rejected: line number in the clean file, reason, the line's bytes.
CREATE_REJECTS = "CREATE TABLE rejected (position INTEGER NOT NULL, reason TEXT NOT NULL, raw BLOB NOT NULL) STRICT"


def _column(column: Column, key: str) -> str:
    if column.name == key:
        return f"{column.name} {SQLITE_TYPES[column.type]} PRIMARY KEY"
    return f"{column.name} {SQLITE_TYPES[column.type]}{'' if column.nullable else ' NOT NULL'}"


def create_table(schema: TableSchema) -> str:
    """The table's DDL; STRICT, so that an integer column holds 64-bit integers and nothing else."""
    columns = ",\n  ".join(_column(column, schema.key) for column in schema.columns)
    return f"CREATE TABLE {schema.name} (\n  {columns}\n) STRICT"


def create_index(schema: TableSchema) -> str:
    """The time index; its entries end with the id, so it also answers first id, last id and count of a range."""
    return f"CREATE INDEX {schema.name}_{schema.time} ON {schema.name} ({schema.time})"


def create_triggers(schema: TableSchema) -> list[str]:
    """Triggers that delete the load summary with the first change after the load."""
    # guard: a change deletes the load summary
    return [
        f"CREATE TRIGGER {schema.name}_facts_{event.lower()} AFTER {event} ON {schema.name} "
        f"BEGIN DELETE FROM {SUMMARY_TABLE} WHERE table_name = '{schema.name}'; END"
        for event in ("INSERT", "UPDATE", "DELETE")
    ]
