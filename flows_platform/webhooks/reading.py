"""Reads the records of one source with their details: from the archive, with what the journal knows of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from flows_platform.domain.errors import StorageError
from flows_platform.webhooks.archive import Archive
from flows_platform.webhooks.detail_queue import DetailQueue
from flows_platform.webhooks.journal import Journal
from flows_platform.webhooks.journal_index import JournalIndex
from flows_platform.webhooks.journal_totals import totals

PRESENT, PENDING, ABSENT, GIVEN_UP = "present", "pending", "absent", "given_up"
_KNOWN = {"present": PRESENT, "absent": ABSENT, "dead": GIVEN_UP}  # states of a detail that the journal knows
MOST_CHANGES = 1_000  # of an answer about changes


class ArchiveIncomplete(StorageError):
    """The archive does not have an object that it had."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"the archive does not have {key}, which it had.",
            remedy="Restore the object; if it was removed on purpose, run `flows alerts reindex`.",
        )


@dataclass(frozen=True, slots=True)
class Found:
    """A record as the archive has it.

    Args:
        id: Its id.
        webhook: Its bytes.
        detail: Those of its detail; None where the archive has none.
        state: Of the detail: present, pending, absent or given_up; None where the source has no details.
        detail_at: When the detail came into the archive; None where the archive has none.
    """

    id: str
    webhook: bytes = field(repr=False)
    detail: bytes | None = field(repr=False)
    state: str | None
    detail_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Overview:
    """What there is of a source.

    Args:
        records: How many records, also those that are not archived yet.
        bytes: Those of all records, without their details.
        differing: Records that came with an id that another record has.
        open: Deliveries that are not archived yet.
        newest: When the newest record was created, in ISO 8601; None where there is none.
        pending: Details to be fetched.
        oldest_pending_seconds: For how long the oldest of them has been pending; None where there is none.
        dead: Details that were given up.
        stopped: Why no detail is fetched; empty while they are.
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
    """A minute whose records changed.

    Args:
        minute: When the records were created that came, or whose details are known.
        number: Of the last change.
        seconds: When that was, in seconds since 1970.
    """

    minute: datetime
    number: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed after a number.

    Args:
        journal: Names the journal that counts; another one counts from the start.
        number: Of the last change here.
        more: Whether there are later ones.
        changes: The minutes, in the order of the numbers.
    """

    journal: str
    number: int
    more: bool
    changes: list[Change]


class RecordReader:
    """The records of one source. Its methods may be called from any thread.

    All methods raise a StorageError where archive or journal cannot be read.

    Args:
        source: The source's name.
        archive: Where its records are.
        journal: What knows of their details.
        has_details: Whether details are fetched.
    """

    def __init__(self, source: str, archive: Archive, journal: Journal, *, has_details: bool) -> None:
        self.source, self._archive, self._journal = source, archive, journal
        self._has_details, self._details = has_details, DetailQueue(journal, source)
        self._index = JournalIndex(journal, source)

    def between(self, start: datetime, end: datetime, after: str = "") -> Iterator[str]:
        """The keys of records, as the archive lists them: all that the journal knows, and maybe others.

        Raises:
            ArchiveIncomplete: the archive does not list one that it had; the keys before it were given.
        """
        # The journal first: what is archived meanwhile is listed.
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
        """The minute and the id of a record, after which another list may start."""
        return self._archive.position(key)

    def key_of(self, record_id: str) -> str | None:
        """Where the first record with this id is; None for an id that is not known."""
        with self._journal.reading() as connection:
            row = connection.execute(
                "SELECT key FROM records WHERE source = ? AND id = ? AND state <> 'received' ORDER BY differs LIMIT 1",
                (self.source, record_id),
            ).fetchone()
        return str(row[0]) if row else None

    def states(self, ids: Sequence[str]) -> dict[str, str]:
        """What the journal knows of the details of the records, at most 500; pending ones are left out."""
        with self._journal.reading() as connection:
            marks = ", ".join("?" * len(ids))
            rows = connection.execute(
                f"SELECT id, state FROM records WHERE source = ? AND id IN ({marks}) ORDER BY differs DESC",
                (self.source, *ids),
            )
            return {str(found): _KNOWN[state] for found, state in rows if state in _KNOWN}

    def read(self, key: str, known: str | None = None, most: int | None = None) -> Found:
        """The record at the key with its detail; `known` is what `states` said of the detail before.

        Raises:
            ObjectTooLarge: record or detail has more than `most` bytes.
            ArchiveIncomplete: the archive had the detail.
            StorageError: the archive lists the record, and does not have it.
        """
        record_id = key.rpartition("/")[2]
        webhook = self._archive.store.read(key, most)
        # guard: a record that is listed is there
        if webhook is None:
            raise StorageError(f"the archive's object {key} went away while it was read.", remedy="Run it again.")
        if not self._has_details:
            return Found(record_id, webhook, None, None)
        detail_key = self._archive.detail_key(record_id)
        detail = self._archive.store.dated(detail_key, most)
        if detail is not None:
            return Found(record_id, webhook, detail.body, PRESENT, detail.created)
        # guard: a detail that was there is there
        if known == PRESENT:
            raise ArchiveIncomplete(detail_key)
        return Found(record_id, webhook, None, known or PENDING)

    def require_readable(self) -> None:
        """Ask the archive for its first record.

        Raises:
            StorageError: it does not answer.
        """
        next(self._archive.records(), None)

    def overview(self, now: float) -> Overview:
        """What there is of the source; `now` is in seconds since 1970."""
        counts, details = self._journal.counts(self.source), self._details.counts()
        with self._journal.reading() as connection:
            size = totals(connection, self.source).bytes
            (newest,) = connection.execute(
                "SELECT max(created_at) FROM records WHERE source = ?", (self.source,)
            ).fetchone()
        waited = None if details.oldest is None else max(now - details.oldest, 0.0)
        return Overview(
            counts.records,
            size,
            counts.differing,
            counts.open,
            newest,
            details.pending,
            waited,
            details.dead,
            details.stopped,
        )

    def replay(self, record_id: str, now: float) -> bool:
        """Fetch the detail of a record again; `now` is in seconds since 1970. False where it is there, or not fetched.

        Raises:
            StorageError: the journal cannot be written.
        """
        return self._has_details and self._details.replay(now, [record_id]) > 0

    def changes(self, after: int) -> Changes:
        """What changed after that number, the earliest changes first."""
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
