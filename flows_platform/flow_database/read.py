"""Reads a loaded database, for summaries and comparisons. Never writes; the API server has its own queries."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import apsw

from flows_platform.domain.errors import InputError
from flows_platform.domain.rejects import RejectedRecord
from flows_platform.domain.schema import TableSchema
from flows_platform.domain.verification import Value
from flows_platform.flow_database.layout import SUMMARY_TABLE
from flows_platform.flow_database.page_checksums import checked_file


@dataclass(frozen=True, slots=True)
class DatabaseSummary:
    """What the table holds; times are None if it is empty."""

    rows: int
    first_time: int | None
    last_time: int | None
    rejected: int


def database_summary(database: Path, schema: TableSchema) -> DatabaseSummary:
    """Counts and bounds. The number of rows comes from the load summary if that is still valid; else they are counted.

    Raises:
        InputError: there is no such database or table.
    """
    with open_read_only(database) as connection:
        rows = _rows(connection, schema)
        first = connection.execute(f"SELECT min({schema.time}) FROM {schema.name}").get
        last = connection.execute(f"SELECT max({schema.time}) FROM {schema.name}").get
        rejected = connection.execute("SELECT count(*) FROM rejected").get
    return DatabaseSummary(rows, first, last, rejected)


def row_count(database: Path, schema: TableSchema) -> int:
    """The number of rows: from the load summary if that is still valid; else they are counted.

    Raises:
        InputError: there is no such database or table.
    """
    with open_read_only(database) as connection:
        return _rows(connection, schema)


def _rows(connection: apsw.Connection, schema: TableSchema) -> int:
    summary = connection.execute(f"SELECT row_count FROM {SUMMARY_TABLE} WHERE table_name = ?", (schema.name,))
    known: int | None = summary.get
    return known if known is not None else cast("int", connection.execute(f"SELECT count(*) FROM {schema.name}").get)


def iter_rows(
    database: Path, schema: TableSchema, *, first: int | None = None, last: int | None = None
) -> Iterator[tuple[Value, ...]]:
    """The rows with a time in `first..last` (both included, None: no bound), by id, as tuples of the schema's columns.

    Raises:
        InputError: there is no such database or table.
    """
    bounds = [f"{schema.time} {sign} ?" for sign, value in ((">=", first), ("<=", last)) if value is not None]
    where = f"WHERE {' AND '.join(bounds)} " if bounds else ""
    query = f"SELECT {', '.join(schema.names)} FROM {schema.name} {where}ORDER BY {schema.key}"
    with open_read_only(database) as connection:
        values = tuple(value for value in (first, last) if value is not None)
        yield from cast("Iterator[tuple[Value, ...]]", connection.execute(query, values))


def iter_rejected(database: Path) -> Iterator[RejectedRecord]:
    """The lines that the load rejected, in the clean file's order.

    Raises:
        InputError: there is no such database, or it was not made by a load.
    """
    with open_read_only(database) as connection:
        for position, reason, raw in connection.execute("SELECT position, reason, raw FROM rejected ORDER BY rowid"):
            yield RejectedRecord(cast("int", position), cast("str", reason), cast("bytes", raw))


@contextmanager
def open_read_only(database: Path) -> Iterator[apsw.Connection]:
    """A read-only connection. Errors of sqlite inside the block become InputErrors.

    Raises:
        InputError: the file is missing, is not an sqlite database, or lacks a table.
        DamagedDatabase: a page is not as the load wrote it.
    """
    try:
        uri, vfs = f"{database.resolve().as_uri()}?mode=ro", checked_file(database)
        connection = apsw.Connection(uri, apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI, vfs=vfs)
        try:
            yield connection
        finally:
            connection.close(force=True)
    except (apsw.CantOpenError, apsw.NotADBError, apsw.SQLError, apsw.CorruptError, apsw.IOError, OSError) as error:
        raise InputError(
            f"{database} is not a loaded database: {error}.",
            remedy="Build it with `flows load CLEAN.csv --database PATH`.",
        ) from error
