"""The shape of the table in the file: its columns, its key, what a load recorded of it. Does not read its rows."""

import re
from dataclasses import dataclass

import apsw

from flows_platform.domain.errors import InputError
from flows_platform.domain.schema import Column, ColumnType, TableSchema
from flows_platform.flow_database.layout import SUMMARY_TABLE

# Declared types that a STRICT table enforces for a column's type; empty where it does not enforce enough.
STRICT_TYPES = {
    ColumnType.INT64: ("INT", "INTEGER"),
    ColumnType.STRING: ("TEXT",),
    ColumnType.TIMESTAMP: ("TEXT",),
    ColumnType.FLOAT64: ("REAL",),
    ColumnType.BOOL: (),  # an integer may be neither 0 nor 1
    ColumnType.JSON: (),  # a text may not be JSON
    ColumnType.DATE: (),  # nor a date
    ColumnType.NUMERIC: (),  # nor a number
}
# https://sqlite.org/datatype3.html#determination_of_column_affinity: such a column turns numbers into text.
TEXT_AFFINITY = re.compile("CHAR|CLOB|TEXT", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the load recorded of the rows; the first change after it deletes the record."""

    row_count: int
    time_sorted: bool
    ids_contiguous: bool


@dataclass(frozen=True, slots=True)
class Table:
    """The table's shape.

    `walkable` says that the table is stored in the order of its key; `trusted` names the columns whose type and
    NOT NULL sqlite itself enforces.
    """

    walkable: bool
    trusted: frozenset[str]
    facts: Facts | None


@dataclass(frozen=True, slots=True)
class _Declared:
    type: str
    required: bool
    key: bool


def read_table(connection: apsw.Connection, schema: TableSchema) -> Table:
    """The shape of `schema`'s table.

    Raises:
        InputError: the table or one of its columns is missing, or time or key are declared as texts.
    """
    listed = connection.execute(
        "SELECT type, wr, strict FROM pragma_table_list(?) WHERE schema = 'main'", (schema.name,)
    ).fetchone()
    if listed is None:
        raise InputError(f"it has no table {schema.name}.")
    kind, without_rowid, strict = listed
    declared = _declared(connection, schema)
    own_index = connection.execute("SELECT count(*) FROM pragma_index_list(?) WHERE origin = 'pk'", (schema.name,)).get
    keys = [name for name, column in declared.items() if column.key]
    walkable = kind == "table" and keys == [schema.key] and bool(without_rowid or not own_index)
    trusted = frozenset(column.name for column in schema.columns if strict and _is_kept(column, declared[column.name]))
    return Table(walkable, trusted, _facts(connection, schema) if {schema.key, schema.time} <= trusted else None)


def _declared(connection: apsw.Connection, schema: TableSchema) -> dict[str, _Declared]:
    rows = connection.execute('SELECT name, type, "notnull", pk FROM pragma_table_xinfo(?)', (schema.name,))
    declared = {str(name): _Declared(str(kind), bool(notnull or pk), bool(pk)) for name, kind, notnull, pk in rows}
    missing = [name for name in schema.names if name not in declared]
    if missing:
        raise InputError(f"its table {schema.name} lacks the column {', '.join(missing)}.")
    for name in (schema.key, schema.time):
        if "INT" not in declared[name].type.upper() and TEXT_AFFINITY.search(declared[name].type):
            raise InputError(
                f"its table {schema.name} declares {name} as {declared[name].type}: its numbers are held as text, "
                "and text does not sort by value."
            )
    return declared


def _is_kept(column: Column, declared: _Declared) -> bool:
    return declared.type.upper() in STRICT_TYPES[column.type] and declared.required and not column.nullable


def _facts(connection: apsw.Connection, schema: TableSchema) -> Facts | None:
    if not connection.table_exists("main", SUMMARY_TABLE):
        return None
    row = connection.execute(
        f"SELECT row_count, time_sorted, ids_contiguous FROM {SUMMARY_TABLE} WHERE table_name = ?", (schema.name,)
    ).fetchone()
    return None if row is None else Facts(int(row[0]), bool(row[1]), bool(row[2]))
