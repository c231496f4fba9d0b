"""The journal as an index of one source's archive: which archive it has indexed, and which objects this has."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import groupby

from flows_platform.webhooks.archive import BESIDE, Archive, is_beside, record_id_of
from flows_platform.webhooks.journal import Journal

FIRST, LAST = datetime(1000, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
_MINUTE = "%Y-%m-%dT%H:%M"  # begins the time of a row


class JournalIndex:
    """The index of one source's archive. Its methods may be called from any thread.

    All methods raise a StorageError if the journal cannot be used.
    """

    def __init__(self, journal: Journal, source: str) -> None:
        self._journal, self._source = journal, source

    def archive(self) -> tuple[str, str] | None:
        """The name of the store and the folder of the archive that the journal has seen completely, or None."""
        with self._journal.reading() as connection:
            found = connection.execute(
                "SELECT store, folder FROM indexed_archives WHERE source = ?", (self._source,)
            ).fetchone()
        return (str(found[0]), str(found[1])) if found else None

    def note(self, archive: Archive) -> None:
        """Note that the journal has seen all objects of an archive."""
        self._journal.write(
            lambda connection: connection.execute(
                "INSERT OR REPLACE INTO indexed_archives VALUES (?, ?, ?)",
                (self._source, archive.store.name, archive.folder),
            ).close()
        )

    def newest_key(self) -> str | None:
        """The key of the newest archived record; None if there is none."""
        with self._journal.reading() as connection:
            row = connection.execute(
                "SELECT key FROM records WHERE source = ? AND state <> 'received' ORDER BY created_at DESC, id LIMIT 1",
                (self._source,),
            ).fetchone()
        return str(row[0]) if row else None

    def move(self, archive: Archive) -> None:
        """Forget another archive. What is still to be stored will be stored in this one."""
        self._journal.write(lambda connection: _moved(connection, self._source, archive))

    @contextmanager
    def keys(
        self, start: datetime = FIRST, end: datetime = LAST, *, after: str = "", beside: bool = False
    ) -> Iterator[Iterator[str]]:
        """The keys of the archived records of a range of minutes, sorted. Iterating shows the journal as it is now.

        Args:
            start: The first minute.
            end: The first minute after the range.
            after: Only keys that sort after this one.
            beside: Whether records that are beside others are included.
        """
        first, last = (f"{instant.astimezone(UTC):{_MINUTE}}" for instant in (start, end))
        with self._journal.reading() as connection:
            rows = connection.execute(
                "SELECT created_at, key FROM records WHERE source = ? AND created_at >= ? AND created_at < ? "
                "AND state <> 'received' ORDER BY created_at",
                (self._source, first, last),
            )
            yield (key for key in _in_order(rows) if key > after and (beside or not is_beside(key)))

    @contextmanager
    def present(self) -> Iterator[Iterator[str]]:
        """The ids of the records whose details are in the archive, sorted."""
        with self._journal.reading() as connection:
            rows = connection.execute(
                "SELECT DISTINCT id FROM records WHERE source = ? AND state = 'present' ORDER BY id", (self._source,)
            )
            yield (str(found) for (found,) in rows)

    def forget(self, keys: Iterable[str]) -> None:
        """Forget records that the archive no longer has."""
        self._journal.write(lambda connection: _forgotten(connection, self._source, keys))


def gone(listed: Iterable[str], known: Iterator[str]) -> Iterator[str]:
    """Which of the known texts are not listed. Both are sorted; `listed` is read to its end."""
    wanted = next(known, None)
    for text in listed:
        while wanted is not None and wanted < text:
            yield wanted
            wanted = next(known, None)
        if wanted == text:
            wanted = next(known, None)
    if wanted is not None:
        yield wanted
        yield from known


def _in_order(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    """The sorted keys of rows that are sorted by time. The keys of one minute have a folder of their own."""
    for _, minute in groupby(rows, key=lambda row: row[0][: len("2024-03-01T12:30")]):
        yield from sorted(key for _, key in minute)


def _moved(connection: sqlite3.Connection, source: str, archive: Archive) -> None:
    # guard: what is not stored yet is not forgotten
    connection.execute("DELETE FROM records WHERE source = ? AND state <> 'received'", (source,))
    connection.execute("DELETE FROM deliveries WHERE source = ? AND state = 'archived'", (source,))
    for table in ("details", "indexed_archives"):
        connection.execute(f"DELETE FROM {table} WHERE source = ?", (source,))
    rows = connection.execute(
        "SELECT id, sha256, key FROM records WHERE source = ? ORDER BY id, differs, key", (source,)
    ).fetchall()
    for _, found in groupby(rows, key=lambda row: row[0]):
        for number, (record_id, digest, key) in enumerate(found):
            # guard: what is not stored yet goes to the archive that is asked for
            plain = archive.own(key.partition(BESIDE)[0])
            connection.execute(
                "UPDATE records SET key = ?, differs = ? WHERE source = ? AND id = ? AND sha256 = ?",
                (archive.beside(plain, digest) if number else plain, min(number, 1), source, record_id, digest),
            )
    for number, key in connection.execute("SELECT id, key FROM deliveries WHERE source = ?", (source,)).fetchall():
        connection.execute("UPDATE deliveries SET key = ? WHERE id = ?", (archive.own(key), number))


def _forgotten(connection: sqlite3.Connection, source: str, keys: Iterable[str]) -> None:
    for key in keys:
        connection.execute(
            "DELETE FROM records WHERE source = ? AND id = ? AND key = ? AND state <> 'received'",
            (source, record_id_of(key), key),
        )
    connection.execute(
        "DELETE FROM details WHERE source = ? AND NOT EXISTS "
        "(SELECT * FROM records WHERE records.source = details.source AND records.id = details.id)",
        (source,),
    )
