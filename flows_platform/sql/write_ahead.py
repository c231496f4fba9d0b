"""sqlite's WAL mode, in which readers and a writer do not wait for each other; the file remembers it."""

import sqlite3
from contextlib import closing
from pathlib import Path

from flows_platform.domain.errors import StorageError
from flows_platform.runtime.locks import exclusive

_MODE = "PRAGMA journal_mode"


def write_ahead(path: Path, busy_seconds: float) -> None:
    """Switch the database at `path` to WAL mode; a missing file is created.

    A lock file beside the database lets only one process change the mode. Of several connections that change it at
    once, sqlite refuses all but one as "database is locked", however long they wait: every connection holds the shared
    lock that the others wait for.

    Raises:
        StorageError: the database or the lock file cannot be used.
    """
    try:
        with closing(sqlite3.connect(path, timeout=busy_seconds)) as connection:
            if connection.execute(_MODE).fetchone() != ("wal",):
                with exclusive(path.with_name(f"{path.name}.lock")):
                    connection.execute(f"{_MODE} = WAL")
    except sqlite3.Error as error:
        raise StorageError(f"the database {path} cannot be used: {error}.") from error
