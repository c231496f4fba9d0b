"""The layout of the database that a load builds and the API server reads: tables, index, facts. SQL text only.

The table is STRICT with `id INTEGER PRIMARY KEY` and an index on time, so a window is a range read: where time never
falls as id grows (the facts say so), the index gives the window's first and last id and the rows are walked by id.
"""

from flows_platform.domain.schema import Column, ColumnType, TableSchema

SQLITE_TYPES = {
    ColumnType.INT64: "INTEGER",
    ColumnType.STRING: "TEXT",
    ColumnType.TIMESTAMP: "TEXT",
    ColumnType.FLOAT64: "REAL",
    ColumnType.BOOL: "INTEGER",  # 0 or 1
    ColumnType.JSON: "TEXT",
}

# What the load learned about the rows, true until a later write: triggers delete the row with the first change, so
# a reader that finds no facts works from the rows alone.
FACTS_TABLE = "load_facts"
CREATE_FACTS = f"""CREATE TABLE {FACTS_TABLE} (
  table_name TEXT PRIMARY KEY,
  row_count INTEGER NOT NULL,
  time_sorted INTEGER NOT NULL,    -- 1: time never falls as id grows
  ids_contiguous INTEGER NOT NULL  -- 1: every id from the first to the last is there
) STRICT"""

# Rows the load set aside: line of the clean file, reason, the line's bytes.
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
    """Triggers that forget the facts with the first change after the load."""
    # guard: facts are forgotten with a change
    return [
        f"CREATE TRIGGER {schema.name}_facts_{event.lower()} AFTER {event} ON {schema.name} "
        f"BEGIN DELETE FROM {FACTS_TABLE} WHERE table_name = '{schema.name}'; END"
        for event in ("INSERT", "UPDATE", "DELETE")
    ]
