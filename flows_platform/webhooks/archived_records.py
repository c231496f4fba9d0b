"""Reads a source's records from the archive, each with its detail and with what the journal knows about it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from flows_platform.domain.errors import StorageError
from flows_platform.webhooks.archive import Archive, record_id_of
from flows_platform.webhooks.detail_queue import ABSENT, DEAD, GIVEN_UP, PENDING, PRESENT, DetailQueue
from flows_platform.webhooks.journal import Journal
from flows_platform.webhooks.journal_index import JournalIndex
from flows_platform.webhooks.journal_totals import totals

# The members of a record's line.
RECORD_ID, DETAIL_STATE, DETAIL_AT = "record_id", "detail_state", "detail_at"
WEBHOOK, DETAIL = "webhook", "detail"
OWN = (RECORD_ID, DETAIL_STATE, DETAIL_AT)  # those that the archive adds
MOST_CHANGES = 1_000  # changes in one answer
# Strings in JSON escape line ends, so any that are left stand between tokens.
_ON_ONE_LINE = bytes.maketrans(b"\n\r", b"  ")
# The states of details that the journal knows, and how a record shows them.
_SHOWN = {PRESENT: PRESENT, ABSENT: ABSENT, DEAD: GIVEN_UP}


class ArchiveIncomplete(StorageError):
    """The archive lacks an object that it had."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"the archive does not have {key}, which it had.",
            remedy="Restore the object; if it was removed on purpose, run `flows alerts reindex`.",
        )


@dataclass(frozen=True, slots=True)
class ArchivedRecord:
    """A record from the archive.

    Args:
        id: The record's id.
        webhook: The record's bytes, as they were delivered.
        detail: The bytes of its detail, as the vendor sent them; None if the archive has none.
        state: The state of the detail: present, pending, absent or given_up; None if the source has no details.
        detail_at: When the detail was archived; None if the archive has none.
    """

    id: str
    webhook: bytes = field(repr=False)
    detail: bytes | None = field(repr=False)
    state: str | None
    detail_at: datetime | None = None

    def line(self) -> bytes:
        """The record as a JSON object on one line, without a line end. Record and detail keep their own bytes."""
        members = [f'"{RECORD_ID}":{json.dumps(self.id)}'.encode()]
        members += [f'"{DETAIL_STATE}":"{self.state}"'.encode()] if self.state else []
        members += [f'"{DETAIL_AT}":"{self.detail_at.isoformat()}"'.encode()] if self.detail_at else []
        members += [f'"{WEBHOOK}":'.encode() + self.webhook]
        members += [f'"{DETAIL}":'.encode() + self.detail] if self.detail is not None else []
        return b"{" + b",".join(members).translate(_ON_ONE_LINE) + b"}"


@dataclass(frozen=True, slots=True)
class Overview:
    """The figures of a source.

    Args:
        records: Number of records, including those that are not archived yet.
        bytes: Size of all records, without their details.
        differing: Number of records that came with the id of an earlier, different record.
        open: Number of deliveries that are not archived yet.
        newest: Creation time of the newest record in ISO 8601; None if there are no records.
        pending: Number of details that are still to be fetched.
        oldest_pending_seconds: How long the oldest of these has been pending; None if none is.
        dead: Number of details that were given up.
        stopped: Why no details are fetched at present; empty if they are.
    """

    records: int
    bytes: int
    differing: int
    open: int
    newest: str | None
    pending: int
    oldest_pending_seconds: float | None
    dead: int
    stopped: str


@dataclass(frozen=True, slots=True)
class Change:
    """A minute in which records were created that have changed: they arrived, or the state of their details changed.

    Args:
        minute: The minute.
        number: The number of its last change.
        seconds: When that change happened, in seconds since 1970.
    """

    minute: datetime
    number: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes after a given number.

    Args:
        journal: The name of the journal that numbers them; a new journal starts again at 1.
        number: The number of the last of these changes.
        more: Whether there are later ones.
        changes: The changed minutes, ordered by number.
    """

    journal: str
    number: int
    more: bool
    changes: list[Change]


class RecordReader:
    """Reads the records of one source. Its methods may be called from any thread.

    All methods raise a StorageError if archive or journal cannot be read.

    Args:
        source: The source's name.
        archive: The archive of its records.
        journal: The journal that knows the states of their details.
        has_details: Whether the source's details are fetched.
    """

    def __init__(self, source: str, archive: Archive, journal: Journal, *, has_details: bool) -> None:
        self.source, self._archive, self._journal = source, archive, journal
        self._has_details, self._details = has_details, DetailQueue(journal, source)
        self._index = JournalIndex(journal, source)

    def between(self, start: datetime, end: datetime, after: str = "") -> Iterator[str]:
        """The keys of the records of a range, as `Archive.between` lists them.

        Raises:
            ArchiveIncomplete: the archive lacks a record that the journal knows; the keys before it were given.
        """
        # The journal is read first, so that the archive also lists what is archived meanwhile.
        with self._index.keys(start, end, after=self._archive.key_at(after) if after else "") as known:
            wanted = next(known, None)
            for key in self._archive.between(start, end, after):
                # guard: a folder that went away is not an empty range
                if wanted is not None and wanted < key:
                    raise ArchiveIncomplete(wanted)
                if wanted == key:
                    wanted = next(known, None)
                yield key
            # guard: a folder that went away does not end a range
            if wanted is not None:
                raise ArchiveIncomplete(wanted)

    def position(self, key: str) -> str:
        """The position of a record, after which another listing may start; see `Archive.position`."""
        return self._archive.position(key)

    def key_of(self, record_id: str) -> str | None:
        """The key of the first record with this id; None if no record has it."""
        with self._journal.reading() as connection:
            row = connection.execute(
                "SELECT key FROM records WHERE source = ? AND id = ? AND state <> 'received' ORDER BY differs LIMIT 1",
                (self.source, record_id),
            ).fetchone()
        return str(row[0]) if row else None

    def states(self, ids: Sequence[str]) -> dict[str, str]:
        """The states of the details of at most 500 records that the journal knows; pending ones are left out."""
        with self._journal.reading() as connection:
            marks = ", ".join("?" * len(ids))
            rows = connection.execute(
                f"SELECT id, state FROM records WHERE source = ? AND id IN ({marks}) ORDER BY differs DESC",
                (self.source, *ids),
            )
            return {str(found): _SHOWN[state] for found, state in rows if state in _SHOWN}

    def read(self, key: str, known: str | None = None, most: int | None = None) -> ArchivedRecord:
        """The record with this key, and its detail.

        Args:
            key: The record's key.
            known: The state of its detail, as `states` gave it before.
            most: The most bytes that the record, and its detail, may have; None for any number.

        Raises:
            ObjectTooLarge: the record or its detail has more bytes than this.
            ArchiveIncomplete: the archive lacks the detail, which it had.
            StorageError: the archive listed the record but no longer has it.
        """
        record_id = record_id_of(key)
        webhook = self._archive.store.read(key, most)
        # guard: a record that is listed is there
        if webhook is None:
            raise StorageError(f"the archive's object {key} went away while it was read.", remedy="Run it again.")
        if not self._has_details:
            return ArchivedRecord(record_id, webhook, None, None)
        detail_key = self._archive.detail_key(record_id)
        detail = self._archive.store.dated(detail_key, most)
        if detail is not None:
            return ArchivedRecord(record_id, webhook, detail.body, PRESENT, detail.created)
        # guard: a detail that was there is there
        if known == PRESENT:
            raise ArchiveIncomplete(detail_key)
        return ArchivedRecord(record_id, webhook, None, known or PENDING)

    def require_readable(self) -> None:
        """Ask the archive for its first record.

        Raises:
            StorageError: it does not answer.
        """
        next(self._archive.records(), None)

    def overview(self, now: float) -> Overview:
        """The source's figures; `now` is in seconds since 1970."""
        counts, details = self._journal.counts(self.source), self._details.counts()
        with self._journal.reading() as connection:
            size = totals(connection, self.source).bytes
            (newest,) = connection.execute(
                "SELECT max(created_at) FROM records WHERE source = ?", (self.source,)
            ).fetchone()
        waited = None if details.oldest is None else max(now - details.oldest, 0.0)
        return Overview(
            records=counts.records,
            bytes=size,
            differing=counts.differing,
            open=counts.open,
            newest=newest,
            pending=details.pending,
            oldest_pending_seconds=waited,
            dead=details.dead,
            stopped=details.stopped,
        )

    def replay(self, record_id: str, now: float) -> bool:
        """Make a record's detail due again; `now` is in seconds since 1970.

        Returns:
            False if the archive has the detail, or if the source has no details.

        Raises:
            StorageError: the journal cannot be written.
        """
        return self._has_details and self._details.replay(now, [record_id]) > 0

    def changes(self, after: int) -> Changes:
        """The changes with a higher number than `after`, at most `MOST_CHANGES`."""
        with self._journal.reading() as connection:
            (journal,) = connection.execute("SELECT name FROM journal").fetchone()
            (newest,) = connection.execute(
                "SELECT coalesce(max(number), 0) FROM changes WHERE source = ?", (self.source,)
            ).fetchone()
            rows = connection.execute(
                "SELECT minute, number, seconds FROM changes WHERE source = ? AND number > ? ORDER BY number LIMIT ?",
                (self.source, after, MOST_CHANGES),
            ).fetchall()
        found = [Change(datetime.fromisoformat(minute).replace(tzinfo=UTC), *others) for minute, *others in rows]
        last = found[-1].number if found else newest
        return Changes(journal, last, last < newest, found)
