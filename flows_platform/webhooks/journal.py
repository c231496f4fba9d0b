"""The journal of deliveries: what was received, and what is still to be stored. The archive remains the truth.

The journal is a sqlite database that syncs every transaction. One thread writes, and commits all waiting work together,
since a sync takes some milliseconds, however much it covers.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

from flows_platform.domain.errors import StorageError
from flows_platform.sql.write_ahead import write_ahead
from flows_platform.webhooks.journal_totals import TOTALS, totals

BUSY_SECONDS = 30.0
MOST_AT_ONCE = 64  # jobs in a transaction
OF_ONE = (sqlite3.DataError, sqlite3.IntegrityError, sqlite3.ProgrammingError)  # errors of one piece of work
OPEN, ARCHIVED = "open", "archived"
RECEIVED = "received"
SCHEMA = """
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    delivery TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    received TEXT NOT NULL,
    key TEXT NOT NULL,
    body BLOB,
    state TEXT NOT NULL CHECK (state IN ('open', 'archived')),
    UNIQUE (source, delivery, sha256)
) STRICT;
CREATE TABLE IF NOT EXISTS records (
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    created_at TEXT NOT NULL,
    size INTEGER NOT NULL,
    key TEXT NOT NULL,
    differs INTEGER NOT NULL,
    body BLOB,
    delivery INTEGER,
    state TEXT NOT NULL CHECK (state IN ('received', 'archived', 'present', 'absent', 'dead')),
    PRIMARY KEY (source, id, sha256)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS details (
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    since REAL NOT NULL,
    first REAL,
    due REAL,
    tries INTEGER NOT NULL DEFAULT 0,
    why TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (source, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS indexed_archives (
    source TEXT PRIMARY KEY,
    store TEXT NOT NULL,
    folder TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stopped_details (
    source TEXT PRIMARY KEY,
    why TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS details_due ON details (source, due) WHERE due IS NOT NULL;
CREATE INDEX IF NOT EXISTS records_by_time ON records (source, created_at, id, size);
CREATE INDEX IF NOT EXISTS records_by_delivery ON records (delivery) WHERE delivery IS NOT NULL;
CREATE INDEX IF NOT EXISTS open_deliveries ON deliveries (source) WHERE state = 'open';
"""
UNSTORED = (
    "SELECT id FROM deliveries WHERE source = :source AND state = 'open' UNION "
    "SELECT delivery FROM records INDEXED BY records_by_delivery "
    "WHERE delivery IS NOT NULL AND source = :source AND state = 'received'"
)
# The minutes in which records were created. A minute gets a new number whenever one of its records is archived, or the
# state of its detail changes.
CHANGES = """
CREATE TABLE IF NOT EXISTS changes (
    source TEXT NOT NULL,
    minute TEXT NOT NULL,
    number INTEGER NOT NULL,
    seconds REAL NOT NULL,
    PRIMARY KEY (source, minute)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS changes_by_number ON changes (source, number);
CREATE TABLE IF NOT EXISTS journal (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
INSERT INTO journal SELECT lower(hex(randomblob(8))) WHERE NOT EXISTS (SELECT * FROM journal);
CREATE TRIGGER IF NOT EXISTS record_found AFTER INSERT ON records WHEN NEW.state <> 'received' BEGIN
    INSERT INTO changes SELECT NEW.source, substr(NEW.created_at, 1, 16), coalesce(max(number), 0) + 1,
    (julianday('now') - 2440587.5) * 86400.0 FROM changes WHERE source = NEW.source
    ON CONFLICT (source, minute) DO UPDATE SET number = excluded.number, seconds = excluded.seconds;
END;
CREATE TRIGGER IF NOT EXISTS record_changed AFTER UPDATE OF state ON records WHEN NEW.state <> OLD.state BEGIN
    INSERT INTO changes SELECT NEW.source, substr(NEW.created_at, 1, 16), coalesce(max(number), 0) + 1,
    (julianday('now') - 2440587.5) * 86400.0 FROM changes WHERE source = NEW.source
    ON CONFLICT (source, minute) DO UPDATE SET number = excluded.number, seconds = excluded.seconds;
END;
"""


@dataclass(frozen=True, slots=True)
class ToStore:
    """An object that must be in the archive before its delivery is acknowledged."""

    key: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RecordEntry:
    """A record for the journal.

    Args:
        id: The record's id.
        sha256: The SHA-256 of its bytes, in hex.
        created_at: When it was created.
        size: The number of its bytes.
        key: Its key in the archive.
        beside: Its key if another record has its id.
        body: Its bytes; None if the archive has them.
        differs: Whether it is known to differ from an earlier record with its id.
        state: Its state in the journal.
    """

    id: str
    sha256: str
    created_at: datetime
    size: int
    key: str
    beside: str
    body: bytes | None = field(repr=False)
    differs: bool = False
    state: str = RECEIVED


@dataclass(frozen=True, slots=True)
class DeliveryEntry:
    """A delivery for the journal, with its evidence and its records."""

    source: str
    delivery: str
    sha256: str
    received: datetime
    evidence: ToStore
    records: Sequence[RecordEntry] = ()


@dataclass(frozen=True, slots=True)
class Entered:
    """The result of entering a delivery.

    Args:
        number: The delivery's number in the journal.
        to_store: The objects that the archive may not have yet.
        archived: Number of records among these.
        repeated: Number of records that the archive has already.
        differing: Number of records that came with the id of an earlier, different record.
    """

    number: int
    to_store: tuple[ToStore, ...]
    archived: int
    repeated: int
    differing: int


@dataclass(frozen=True, slots=True)
class Counts:
    """The numbers of a source's records, of those that differ from an earlier one, and of open deliveries."""

    records: int
    differing: int
    open: int


def only[T](results: Sequence[T | Exception]) -> T:
    """The result of what was done as a group of one; raises its error if it failed."""
    (result,) = results
    if isinstance(result, Exception):
        raise result
    return result


@dataclass(frozen=True, slots=True)
class _Job:
    """Work for the writing thread, and the result or the error of each piece."""

    works: Sequence[Callable[[sqlite3.Connection], Any]]
    done: Future[list[Any]]


class Journal:
    """The journal in one file. Its methods may be called from any thread.

    Raises:
        StorageError: the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        with _typed(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_ahead(path, BUSY_SECONDS)
        with _typed(path), closing(self._connected()) as connection:
            connection.executescript(SCHEMA + CHANGES + TOTALS)
        self._writer = Thread(target=self._write, name="journal", daemon=True)
        self._writer.start()

    def enter(self, deliveries: Sequence[DeliveryEntry]) -> list[Entered | Exception]:
        """Note deliveries and their records, durably when the call returns. A delivery may be entered repeatedly.

        Each delivery has a result of its own: an error concerns only its delivery.

        Raises:
            StorageError: the journal cannot be written.
        """
        return self.write_all([partial(_entered, delivery=one) for one in deliveries])

    def archived(self, deliveries: Mapping[int, Mapping[str, str]], *, details: float | None = None) -> None:
        """Note that all objects of these deliveries are in the archive, and remove their bytes from the journal.

        Args:
            deliveries: For every delivery's number, the keys of objects that are beside others, by their planned keys.
            details: When the details of their records are due, in seconds since 1970; None for no details.

        Raises:
            StorageError: the journal cannot be written.
        """

        def work(connection: sqlite3.Connection) -> None:
            for number, moved in deliveries.items():
                _archive(connection, number, moved, details=details)

        self.write(work)

    def restore(self, source: str, records: Sequence[RecordEntry], deliveries: Sequence[DeliveryEntry]) -> None:
        """Note records and deliveries that the archive has. Those that the journal knows stay as they are.

        Raises:
            StorageError: the journal cannot be written.
        """
        self.write(lambda connection: _restored(connection, source, records, deliveries))

    def open_deliveries(self, source: str) -> list[int]:
        """The numbers of the deliveries of which objects may be missing in the archive, the oldest first.

        One that the archive has may be among them: its records came again after the journal was rebuilt.

        Raises:
            StorageError: the journal cannot be read.
        """
        with self.reading() as connection:
            rows = connection.execute(f"{UNSTORED} ORDER BY 1", {"source": source}).fetchall()
            return [number for (number,) in rows]

    def to_store(self, entered: int) -> tuple[ToStore, ...]:
        """The objects of a delivery that the archive may not have yet.

        Raises:
            StorageError: the journal cannot be read.
        """
        with self.reading() as connection:
            return _to_store(connection, entered)

    def unknown(self, source: str, ids: Sequence[str]) -> set[str]:
        """Which of these ids no record of the source has.

        Raises:
            StorageError: the journal cannot be read.
        """
        with self.reading() as connection:
            rows = connection.execute(
                "SELECT value FROM json_each(?) WHERE NOT EXISTS "
                "(SELECT * FROM records WHERE source = ? AND id = value)",
                (json.dumps(list(ids)), source),
            )
            return {str(found) for (found,) in rows}

    def counts(self, source: str) -> Counts:
        """The source's numbers of records, of differing ones and of open deliveries.

        Raises:
            StorageError: the journal cannot be read.
        """
        with self.reading() as connection:
            found = totals(connection, source)
            (opened,) = connection.execute(f"SELECT count(*) FROM ({UNSTORED})", {"source": source}).fetchone()
            return Counts(found.records, found.differing, opened)

    def close(self) -> None:
        """Finish the work that was given, and end the writing thread."""
        self._jobs.put(None)
        self._writer.join()

    def write[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do the work in the writing thread. What it writes is durable when the call returns.

        Raises:
            StorageError: the journal cannot be written.
        """
        return only(self.write_all([work]))

    def write_all[T](self, works: Sequence[Callable[[sqlite3.Connection], T]]) -> list[T | Exception]:
        """As `write`, for several pieces of work in one transaction. One that fails undoes only its own writes.

        Raises:
            StorageError: the journal cannot be written.
        """
        job = _Job(works, Future())
        self._jobs.put(job)
        return job.done.result()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection for reading, which sees one state of the journal.

        Raises:
            StorageError: the journal cannot be read.
        """
        with _typed(self.path), closing(self._connected()) as connection:
            connection.execute("BEGIN")
            yield connection

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    def _write(self) -> None:
        """Commit all waiting work together, again and again, until the journal is closed."""
        connection: sqlite3.Connection | None = None
        while (first := self._jobs.get()) is not None:
            jobs, ended = [first], False
            while not self._jobs.empty() and len(jobs) < MOST_AT_ONCE and not ended:
                further = self._jobs.get()
                ended = further is None
                jobs += [further] if further else []
            try:
                with _typed(self.path):
                    connection = connection or self._connected()
                    _commit(connection, jobs)
            except StorageError as error:
                for job in jobs:
                    if not job.done.done():
                        job.done.set_exception(error)
                if connection:
                    connection.close()
                connection = None  # after a full disk or an I/O error, a new one sees what was committed
            if ended:
                break
        if connection:
            connection.close()


def _commit(connection: sqlite3.Connection, jobs: Sequence[_Job]) -> None:
    """Do all jobs in one transaction. Their callers get the results after it is on the disk."""
    connection.execute("BEGIN IMMEDIATE")
    results = [[_tried(connection, work) for work in job.works] for job in jobs]
    connection.execute("COMMIT")
    for job, found in zip(jobs, results, strict=True):
        job.done.set_result(found)


def _tried[T](connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T | Exception:
    """The result of a piece of work, or its error; an error undoes its writes."""
    connection.execute("SAVEPOINT work")
    found: T | Exception
    try:
        found = work(connection)
    except Exception as error:
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, OF_ONE):
            raise  # a full disk, a damaged file: the transaction is lost
        connection.execute("ROLLBACK TO work")
        found = error
    connection.execute("RELEASE work")
    return found


def _entered(connection: sqlite3.Connection, delivery: DeliveryEntry) -> Entered:
    number, state = _number(connection, delivery)
    to_store = {delivery.evidence.key: delivery.evidence} if state == OPEN else {}
    archived = differing = 0
    for record in delivery.records:
        rows = connection.execute(
            "SELECT sha256, key, state FROM records WHERE source = ? AND id = ?", (delivery.source, record.id)
        ).fetchall()
        known = {digest: (key, state) for digest, key, state in rows}
        # guard: other bytes of an id have a key of their own
        placed = replace(record, key=record.beside, differs=True) if known else record
        # guard: a record again is one record
        if record.sha256 not in known:
            differing += placed.differs
            _add_record(connection, delivery.source, placed, number)
        key, state = known.get(record.sha256, (placed.key, RECEIVED))
        # This includes records of other deliveries that are not in the archive yet.
        # guard: a record counts once it is in the archive
        if state == RECEIVED and key not in to_store:
            archived += 1
            to_store[key] = ToStore(key, record.body or b"")
    return Entered(number, tuple(to_store.values()), archived, len(delivery.records) - archived, differing)


def _number(connection: sqlite3.Connection, delivery: DeliveryEntry) -> tuple[int, str]:
    """The number and the state of a delivery, which is added if it is new."""
    added = _add_delivery(connection, delivery, OPEN)
    if added is not None:
        return added, OPEN
    number, state = connection.execute(
        "SELECT id, state FROM deliveries WHERE source = ? AND delivery = ? AND sha256 = ?",
        (delivery.source, delivery.delivery, delivery.sha256),
    ).fetchone()
    return number, state


def _add_delivery(connection: sqlite3.Connection, delivery: DeliveryEntry, state: str) -> int | None:
    """Add a new delivery, and return its number; None for a known one, which stays as it is."""
    added = connection.execute(
        "INSERT INTO deliveries (source, delivery, sha256, received, key, body, state) VALUES (?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT DO NOTHING RETURNING id",
        (
            delivery.source,
            delivery.delivery,
            delivery.sha256,
            _text(delivery.received),
            delivery.evidence.key,
            delivery.evidence.body if state == OPEN else None,
            state,
        ),
    ).fetchone()
    return None if added is None else int(added[0])


def _add_record(connection: sqlite3.Connection, source: str, record: RecordEntry, delivery: int | None) -> None:
    connection.execute(
        "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            source,
            record.id,
            record.sha256,
            _text(record.created_at),
            record.size,
            record.key,
            record.differs,
            record.body,
            delivery,
            record.state,
        ),
    )


def _to_store(connection: sqlite3.Connection, number: int) -> tuple[ToStore, ...]:
    rows = connection.execute(
        "SELECT key, body FROM records WHERE delivery = :number AND state = 'received' "
        "UNION ALL SELECT key, body FROM deliveries WHERE id = :number AND state = 'open'",
        {"number": number},
    )
    return tuple(ToStore(key, body) for key, body in rows)


def _archive(connection: sqlite3.Connection, number: int, moved: Mapping[str, str], *, details: float | None) -> None:
    for key, found in moved.items():
        connection.execute(
            "UPDATE records SET key = ?, differs = instr(?, '~') > 0 WHERE delivery = ? AND key = ?",
            (found, found, number, key),
        )
    # guard: a detail is due once its record is archived
    if details is not None:
        connection.execute(
            "INSERT INTO details (source, id, since, due) SELECT DISTINCT source, id, :now, :now FROM records "
            "WHERE delivery = :number AND state = 'received' "
            "ON CONFLICT DO UPDATE SET since = :now, due = :now, first = NULL, tries = 0 WHERE due IS NULL",
            {"number": number, "now": details},
        )
    connection.execute(
        "UPDATE records SET state = 'archived', body = NULL, delivery = NULL WHERE delivery = ? AND state = 'received'",
        (number,),
    )
    connection.execute("UPDATE deliveries SET state = 'archived', body = NULL WHERE id = ?", (number,))


def _restored(
    connection: sqlite3.Connection,
    source: str,
    records: Sequence[RecordEntry],
    deliveries: Sequence[DeliveryEntry],
) -> None:
    for record in records:
        _add_record(connection, source, record, None)
    for delivery in deliveries:
        # The archive has its evidence, but not necessarily the records of an interrupted delivery.
        # guard: an open delivery stays open
        _add_delivery(connection, delivery, ARCHIVED)


def _text(instant: datetime) -> str:
    """The instant as a text; texts sort by time."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


@contextmanager
def _typed(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StorageError(
            f"the journal {path} cannot be used: {error}.", remedy="Free space, or correct the permissions."
        ) from error
