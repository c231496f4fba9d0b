"""Fills an sqlite file: runs statements, and inserts record batches without a Python object per value.

It uses ADBC below its DB-API. The DB-API imports pandas if that is installed (.25 s, 50 MB), and turns a Ctrl-C into an
error of the driver, which cannot be cancelled.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import adbc_driver_sqlite
import pyarrow as pa
from adbc_driver_manager import AdbcConnection, AdbcStatement, StatementOptions


class BulkConnection:
    """One connection, which commits by itself outside BEGIN and COMMIT. Raises `adbc_driver_manager.Error`."""

    def __init__(self, connection: AdbcConnection, stack: ExitStack) -> None:
        self._connection = connection
        self._stack = stack
        self._inserts: dict[str, AdbcStatement] = {}

    def execute(self, sql: str) -> None:
        """Run a statement without parameters and without rows."""
        with AdbcStatement(self._connection) as statement:
            statement.set_sql_query(sql)
            statement.execute_update()

    def rows(self, sql: str, parameters: pa.RecordBatch) -> list[dict[str, object]]:
        """The rows of a query under the parameters of the batch's one row."""
        with AdbcStatement(self._connection) as statement:
            statement.set_sql_query(sql)
            statement.bind(parameters)
            stream, _ = statement.execute_query()
            found: list[dict[str, object]] = pa.RecordBatchReader.from_stream(stream).read_all().to_pylist()
        return found

    def insert(self, table: str, batch: pa.RecordBatch) -> int:
        """Append the batch's rows to the table; returns how many arrived."""
        if table not in self._inserts:
            self._inserts[table] = self._insert_into(table)
        self._inserts[table].bind(batch)
        arrived: int = self._inserts[table].execute_update()
        return arrived

    def _insert_into(self, table: str) -> AdbcStatement:
        statement: AdbcStatement = self._stack.enter_context(AdbcStatement(self._connection))
        options = {StatementOptions.INGEST_TARGET_TABLE: table, StatementOptions.INGEST_MODE: "adbc.ingest.mode.append"}
        statement.set_options(**{option.value: value for option, value in options.items()})
        return statement


@contextmanager
def bulk_connection(path: Path) -> Iterator[BulkConnection]:
    """A connection to a new or existing file."""
    with ExitStack() as stack:
        database = stack.enter_context(adbc_driver_sqlite.connect(str(path)))
        connection = stack.enter_context(AdbcConnection(database))
        yield BulkConnection(connection, stack)
