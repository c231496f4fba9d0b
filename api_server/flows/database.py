"""A read-only view of the database at one moment: opening, the table's shape, closing. Does not select rows."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import quote

import apsw

from api_server.flows.table import Table, read_table
from flows_platform.domain.errors import InputError
from flows_platform.domain.schema import TableSchema
from flows_platform.flow_database.page_checksums import DamagedDatabase, checked_file

BUSY_MILLISECONDS = 2_000
# Holds the pages of one chunk, which a digest reads twice. Streams walk forward: sqlite's own 2 MB gained nothing, and
# 32 streams with two connections each took 100 MB more.
CACHE_KIB = 512
REMEDY = "Build it with `flows load CLEAN.csv --database FLOWS.db`."


def count_no_memory() -> None:
    """Turn off sqlite's statistics of memory, for which all threads share one lock.

    With them two threads format rows hardly faster than one. Has no effect once connections are open.
    """
    if not apsw.connections():
        apsw.shutdown()
        apsw.config(apsw.SQLITE_CONFIG_MEMSTATUS, False)
        apsw.initialize()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A connection inside one read transaction: all its queries see the same state.

    The transaction holds the file's shared lock, and the open file outlives a rename over its path.
    """

    database: Path
    connection: apsw.Connection
    table: Table
    file: tuple[int, ...]
    # In rollback-journal mode the shared lock keeps writers out; in WAL mode one may commit before a twin begins.
    can_have_twins: bool
    compared: bool

    @classmethod
    def open(cls, database: Path, schema: TableSchema, *, compared: bool = True) -> Self:
        """Open the database and begin the transaction; `compared`: compare pages with the checksums of the load.

        Raises:
            InputError: the file does not exist, is not a database, or lacks the table.
            DamagedDatabase: a page differs from what the load wrote; later queries raise it too.
        """
        try:
            file = _file_state(database)
            connection = _connect(database, checked_file(database) if compared else None)
            try:
                # guard: read transaction
                connection.execute("BEGIN")
                locked = connection.pragma("journal_mode") != "wal"
                return cls(database, connection, read_table(connection, schema), file, locked, compared)
            except BaseException:
                connection.close()
                raise
        except (OSError, apsw.Error) as error:
            raise InputError(f"the database {database} cannot be read ({error}).", remedy=REMEDY) from error
        except DamagedDatabase:
            raise
        except InputError as error:
            raise InputError(f"the database {database}: {error.message}", remedy=error.remedy or REMEDY) from error

    def twin(self, schema: TableSchema) -> Self | None:
        """A second connection to the same state, or None where that is not certain.

        It may be opened in any thread, as long as the first is open: it does not use the first.
        """
        # guard: no twin beside a WAL writer
        if not self.can_have_twins:
            return None
        try:
            other = self.open(self.database, schema, compared=self.compared)
        except InputError:
            return None  # the path names another file by now
        # guard: a twin sees the same file
        if other.file == self.file == other.file_now():
            return other
        other.close()
        return None

    def file_now(self) -> tuple[int, ...] | None:
        """The state of the file at the path, None if there is no file."""
        try:
            return _file_state(self.database)
        except OSError:
            return None

    def interrupt(self) -> None:
        """Stop a query that runs in another thread."""
        self.connection.interrupt()

    def close(self) -> None:
        """Free the file and its lock; running cursors end. May be called twice."""
        self.connection.close(force=True)


# guard: the database is read only
def _connect(database: Path, vfs: str | None) -> apsw.Connection:
    # Never immutable=1: beside a writer it would mix old rows with new ones.
    uri = f"file:{quote(str(database.absolute()))}?mode=ro"
    connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI, vfs=vfs)
    connection.set_busy_timeout(BUSY_MILLISECONDS)
    connection.pragma("cache_size", -CACHE_KIB)
    # ATTACH could create files, although the main database is read-only.
    # guard: limit of attached databases
    connection.limit(apsw.SQLITE_LIMIT_ATTACHED, 0)
    return connection


def _file_state(database: Path) -> tuple[int, ...]:
    state = database.stat()
    return state.st_dev, state.st_ino, state.st_mtime_ns, state.st_size
