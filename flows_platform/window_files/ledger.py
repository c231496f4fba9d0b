"""The ledger of one table: every fetch and publication of its windows, connected by the window file's digest.

Append-only, in sqlite beside the window files: request → bytes → records → rejected → file → jobs → rows committed.

It decides two things: whether a window file is the one that was fetched (by its digest), and whether an earlier pull
of a window that would shrink gave the same.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, astuple, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from flows_platform.domain.errors import StorageError
from flows_platform.sql.write_ahead import write_ahead

BUSY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """One fetch of a window, and the file that it made."""

    window: str
    at: str  # UTC, ISO 8601
    request: str
    format: str
    verification: str
    received_bytes: int
    rows: int
    rejected: int
    deduplicated: int
    file_sha256: str


@dataclass(frozen=True, slots=True)
class Recovered:
    """One reprocessing of a window's quarantine, and the file that it made."""

    window: str
    at: str
    recovered: int
    rejected: int
    rows: int
    file_sha256: str


@dataclass(frozen=True, slots=True)
class Committed:
    """One replacement of a window in the warehouse with the rows of the file of that digest."""

    window: str
    at: str
    run: str
    file_sha256: str
    load_job: str
    merge_job: str
    rows_committed: int
    rows_replaced: int


@dataclass(frozen=True, slots=True)
class Withheld:
    """A file that was not published: its window would lose rows, which a second pull must confirm.

    `rows` is the file's number of rows, `rows_held` that of the table, which keeps them. `pulled` is the time of the
    fetch, `since` that of the first pull in a row that gave the same.
    """

    window: str
    at: str
    run: str
    file_sha256: str
    rows: int
    rows_held: int
    pulled: str
    since: str

    @property
    def first_said(self) -> datetime:
        """`since` as an instant."""
        return datetime.fromisoformat(self.since)

    @property
    def story(self) -> str:
        """A sentence for people: both counts, and what the window waits for."""
        return (
            f"Waiting for a confirmation since {self.first_said:%Y-%m-%d %H:%M} UTC: {self.rows:,} rows were pulled, "
            f"the table has {self.rows_held:,}, and it stays as it is until another pull gives the same."
        )


@dataclass(frozen=True, slots=True)
class RecordedFile:
    """A window file as the ledger knows it: from the last fetch, and the reprocessing after it.

    `pulled` is the time of the fetch (UTC, ISO 8601), `other_records` the number of records that are not rows of the
    file. `rows` has the number of rows by the file's digest, oldest first. Reprocessing enters its file in the ledger
    before it replaces the one before, so that either may be on disk.
    """

    pulled: str
    other_records: int
    rows: dict[str, int]

    @property
    def digest(self) -> str:
        """SHA-256 of the last file."""
        return list(self.rows)[-1]

    @property
    def last_rows(self) -> int:
        """Number of rows of the last file."""
        return self.rows[self.digest]

    def reprocessed(self, entry: Recovered) -> "RecordedFile":
        """The file after that reprocessing."""
        records = self.last_rows + self.other_records
        # The same file again: the process died before it replaced the one before, and may die once more.
        before = self.rows if self.digest == entry.file_sha256 else {self.digest: self.last_rows}
        return RecordedFile(self.pulled, records - entry.rows, before | {entry.file_sha256: entry.rows})


type Entry = Fetched | Recovered | Committed | Withheld
TABLES: dict[type[Fetched | Recovered | Committed | Withheld], str] = {
    Fetched: "fetched",
    Recovered: "replayed",
    Committed: "committed",
    Withheld: "withheld",
}

# The newest withheld file of each window, if nothing was committed after it.
WAITING = """
SELECT * FROM withheld WHERE rowid IN (SELECT MAX(rowid) FROM withheld GROUP BY window)
AND NOT EXISTS (SELECT 1 FROM committed WHERE committed.window = withheld.window AND committed.at > withheld.at)
ORDER BY window
"""
SQL_TYPES: dict[Any, str] = {int: "INTEGER", str: "TEXT"}


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger in the file `path`, which the first entry creates."""

    path: Path

    def record(self, entry: Entry) -> None:
        """Append an entry; it is on disk when this returns.

        Raises:
            StorageError: it cannot be written.
        """
        values = astuple(entry)
        # guard: entries of the ledger are on disk
        with self._open() as connection, connection:
            marks = ", ".join("?" * len(values))
            connection.execute(f"INSERT INTO {TABLES[type(entry)]} VALUES ({marks})", values)

    def history(self, window: str) -> list[Entry]:
        """The window's entries, oldest first."""
        if not self.path.exists():
            return []
        with self._open() as connection:
            found = [kind(*row) for kind in TABLES for row in _rows(connection, TABLES[kind], window)]
        return sorted(found, key=lambda entry: entry.at)

    def window_files(self, first: str | None = None, last: str | None = None) -> dict[str, RecordedFile]:
        """The files of all windows by their keys, or of those from `first` to `last`; `first` alone is one window.

        A window that was never fetched is missing.
        """
        if not self.path.exists():
            return {}
        with self._open() as connection:
            where, given = ("WHERE window BETWEEN ? AND ?", (first, last or first)) if first else ("", ())
            last = f"SELECT MAX(rowid) FROM fetched {where} GROUP BY window"
            fetched = connection.execute(f"SELECT * FROM fetched WHERE rowid IN ({last})", given).fetchall()
            reprocessed = connection.execute(f"SELECT * FROM replayed {where} ORDER BY rowid", given).fetchall()
        files = {entry.window: _recorded(entry) for entry in (Fetched(*row) for row in fetched)}
        for entry in (Recovered(*row) for row in reprocessed):
            if entry.window in files and entry.at > files[entry.window].pulled:
                files[entry.window] = files[entry.window].reprocessed(entry)
        return files

    def waiting(self) -> dict[str, Withheld]:
        """The last withheld file of every window that waits for a confirmation, by the windows' keys in order.

        Another pull may confirm it from `Withheld.first_said` plus the table's `shrink_rule.pause` on.
        """
        if not self.path.exists():
            return {}
        with self._open() as connection:
            found = [Withheld(*row) for row in connection.execute(WAITING)]
        return {entry.window: entry for entry in found}

    def last_committed(self) -> str:
        """The time of the last publication of any window (UTC, ISO 8601); empty before the first."""
        if not self.path.exists():
            return ""
        with self._open() as connection:
            (found,) = connection.execute("SELECT MAX(at) FROM committed").fetchone()
        return found or ""

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        # guard: a ledger's failure is a StorageError
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_ahead(self.path, BUSY_SECONDS)
            with closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS)) as connection:
                for kind, table in TABLES.items():
                    connection.execute(_create(kind, table))
                    connection.execute(f"CREATE INDEX IF NOT EXISTS {table}_window ON {table} (window)")
                yield connection
        except (sqlite3.Error, OSError) as error:
            raise StorageError(f"the ledger {self.path} cannot be used: {error}.") from error


def ledger_of(folder: Path) -> Ledger:
    """The ledger of the window files in `folder`."""
    return Ledger(folder / "ledger.db")


def _recorded(entry: Fetched) -> RecordedFile:
    return RecordedFile(entry.at, entry.rejected + entry.deduplicated, {entry.file_sha256: entry.rows})


def _rows(connection: sqlite3.Connection, table: str, window: str) -> list[tuple[Any, ...]]:
    return connection.execute(f"SELECT * FROM {table} WHERE window = ? ORDER BY rowid", (window,)).fetchall()


def _create(kind: type[Entry], table: str) -> str:
    columns = ", ".join(f"{column.name} {SQL_TYPES[column.type]} NOT NULL" for column in fields(kind))
    return f"CREATE TABLE IF NOT EXISTS {table} ({columns}) STRICT"


def as_dict(entry: Entry) -> dict[str, object]:
    """The fields of an entry by name, and what it is."""
    return {"what": type(entry).__name__.lower(), **asdict(entry)}
