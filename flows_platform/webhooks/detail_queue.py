"""The queue of the details of one source that are still to be fetched, in the journal.

The column `due` says when the next try may start. Claiming a detail moves it to the end of a lease, so that another
process takes over after one was killed. For dead details, which were given up, it is NULL.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass

from flows_platform.webhooks.journal import ARCHIVED, Journal

# States of details. The journal has DEAD for those that were given up, and no state for pending ones.
PRESENT, PENDING, ABSENT, GIVEN_UP, DEAD = "present", "pending", "absent", "given_up", "dead"
MOST_LISTED = 1_000


@dataclass(frozen=True, slots=True)
class Claim:
    """A detail that is to be fetched now.

    Args:
        id: The record's id.
        key: The record's key in the archive.
        tries: Number of tries before this one.
        first: When the first try started, in seconds since 1970.
    """

    id: str
    key: str
    tries: int
    first: float


@dataclass(frozen=True, slots=True)
class Listed:
    """A record whose detail is missing.

    Args:
        id: The record's id.
        state: `pending` or `dead`.
        since: When the record was archived, in seconds since 1970.
        tries: Number of tries so far.
        why: Why the last one failed; empty if there was none.
    """

    id: str
    state: str
    since: float
    tries: int
    why: str


@dataclass(frozen=True, slots=True)
class DetailCounts:
    """The number of missing details.

    Args:
        pending: Number of details that are still to be fetched.
        oldest: Since when the oldest of these is pending, in seconds since 1970; None if none is.
        dead: Number of details that were given up.
        stopped: Why no details are fetched at present; empty if they are.
    """

    pending: int
    oldest: float | None
    dead: int
    stopped: str


class DetailQueue:
    """The details of one source. Its methods may be called from any thread, and several processes may use it.

    All methods raise a StorageError if the journal cannot be used.
    """

    def __init__(self, journal: Journal, source: str) -> None:
        self._journal, self.source = journal, source

    def adopt(self, now: float) -> int:
        """Queue archived records that are not queued yet, as after a rebuild of the journal. Returns their number."""

        def work(connection: sqlite3.Connection) -> int:
            return connection.execute(
                "INSERT INTO details (source, id, since, due) SELECT DISTINCT source, id, ?, ? FROM records "
                "WHERE source = ? AND state = ? ON CONFLICT DO NOTHING",
                (now, now, self.source, ARCHIVED),
            ).rowcount

        return self._journal.write(work)

    def claim(self, now: float, lease: float) -> Claim | None:
        """Claim the detail that has been due for the longest time; None if none is due.

        Args:
            now: The time, in seconds since 1970.
            lease: Seconds for which no other thread or process may claim it.
        """
        while True:
            claimed = self._journal.write(lambda connection: self._claimed(connection, now, lease))
            if claimed is None or isinstance(claimed, Claim):
                return claimed

    def next_due(self) -> float | None:
        """When the next detail is due, in seconds since 1970; None if none is pending."""
        with self._journal.reading() as connection:
            (due,) = connection.execute(
                "SELECT min(due) FROM details WHERE source = ? AND due IS NOT NULL", (self.source,)
            ).fetchone()
        return None if due is None else float(due)

    def settle(self, ids: Iterable[str], state: str) -> None:
        """Note that the details with these ids are `present` or `absent`."""

        def work(connection: sqlite3.Connection) -> None:
            for record_id in ids:
                self._settled(connection, record_id, state)

        self._journal.write(work)

    def lost(self, ids: Iterable[str]) -> None:
        """Note that details which were present are not there any more; `adopt` queues them."""

        def work(connection: sqlite3.Connection) -> None:
            for record_id in ids:
                connection.execute(
                    "UPDATE records SET state = ? WHERE source = ? AND id = ? AND state = ?",
                    (ARCHIVED, self.source, record_id, PRESENT),
                )

        self._journal.write(work)

    def postpone(self, claim: Claim, due: float, why: str) -> None:
        """Note that a try failed, why, and when the next one may start."""
        self._journal.write(
            lambda connection: connection.execute(
                "UPDATE details SET due = ?, tries = ?, why = ? WHERE source = ? AND id = ?",
                (due, claim.tries + 1, why, self.source, claim.id),
            ).close()
        )

    def release(self, claim: Claim, due: float) -> None:
        """Return a claimed detail to the queue without a try."""
        first = claim.first if claim.tries else None
        self._journal.write(
            lambda connection: connection.execute(
                "UPDATE details SET due = ?, first = ? WHERE source = ? AND id = ?",
                (due, first, self.source, claim.id),
            ).close()
        )

    def give_up(self, claim: Claim, why: str) -> None:
        """Give up a detail. It stays listed as dead, and `replay` makes it due again."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE details SET due = NULL, tries = ?, why = ? WHERE source = ? AND id = ?",
                (claim.tries + 1, why, self.source, claim.id),
            )
            self._mark(connection, claim.id, DEAD)

        self._journal.write(work)

    def replay(self, now: float, ids: Sequence[str] | None = None) -> int:
        """Make details due now, and end a stop. Returns the number of details.

        Args:
            now: The time, in seconds since 1970.
            ids: The ids of the records; None for all dead details. Details that are present, and ids without a record,
                are ignored.
        """

        def work(connection: sqlite3.Connection) -> int:
            dead = "SELECT id FROM details WHERE source = ? AND due IS NULL"
            found = ids if ids is not None else [name for (name,) in connection.execute(dead, (self.source,))]
            connection.execute("DELETE FROM stopped_details WHERE source = ?", (self.source,))
            return sum(self._replayed(connection, name, now) for name in found)

        return self._journal.write(work)

    def stop(self, why: str) -> None:
        """Note that no details are to be fetched until someone acts, and why."""
        self._journal.write(
            lambda connection: connection.execute(
                "INSERT OR REPLACE INTO stopped_details VALUES (?, ?)", (self.source, why)
            ).close()
        )

    def resume(self) -> None:
        """End a stop."""
        self._journal.write(
            lambda connection: connection.execute(
                "DELETE FROM stopped_details WHERE source = ?", (self.source,)
            ).close()
        )

    def stopped(self) -> str:
        """Why no details are fetched at present; empty if they are."""
        with self._journal.reading() as connection:
            return _stopped(connection, self.source)

    def counts(self) -> DetailCounts:
        """The number of missing details."""
        with self._journal.reading() as connection:
            pending, oldest, dead = connection.execute(
                "SELECT count(due), min(CASE WHEN due IS NOT NULL THEN since END), count(*) - count(due) "
                "FROM details WHERE source = ?",
                (self.source,),
            ).fetchone()
            return DetailCounts(pending, oldest, dead, _stopped(connection, self.source))

    def listed(self, *, only_dead: bool = False, limit: int = MOST_LISTED) -> list[Listed]:
        """The records whose details are missing, starting with those that have waited longest."""
        only = " AND due IS NULL" if only_dead else ""
        with self._journal.reading() as connection:
            rows = connection.execute(
                "SELECT id, CASE WHEN due IS NULL THEN 'dead' ELSE 'pending' END, since, tries, why FROM details "
                f"WHERE source = ?{only} ORDER BY since, id LIMIT ?",
                (self.source, limit),
            )
            return [Listed(*row) for row in rows]

    def _claimed(self, connection: sqlite3.Connection, now: float, lease: float) -> Claim | str | None:
        """A claim, or the id of a detail that was settled without a request, or None if no detail is due."""
        found = connection.execute(
            "SELECT id, tries, coalesce(first, ?) FROM details WHERE source = ? AND due <= ? ORDER BY due, id LIMIT 1",
            (now, self.source, now),
        ).fetchone()
        if found is None:
            return None
        record_id, tries, first = found
        records = dict(
            connection.execute(
                "SELECT state, key FROM records WHERE source = ? AND id = ? AND state <> 'received' "
                "ORDER BY differs DESC, key DESC",
                (self.source, record_id),
            ).fetchall()
        )
        # Another record with this id has its detail already.
        # guard: a detail is fetched once
        if settled := [state for state in (PRESENT, ABSENT) if state in records]:
            self._settled(connection, record_id, settled[0])
            return str(record_id)
        # guard: a claim is leased
        connection.execute(
            "UPDATE details SET due = ?, first = ? WHERE source = ? AND id = ?",
            (now + lease, first, self.source, record_id),
        )
        return Claim(record_id, records.get(ARCHIVED) or records.get(DEAD) or "", tries, first)

    def _settled(self, connection: sqlite3.Connection, record_id: str, state: str) -> None:
        self._mark(connection, record_id, state)
        connection.execute("DELETE FROM details WHERE source = ? AND id = ?", (self.source, record_id))

    def _mark(self, connection: sqlite3.Connection, record_id: str, state: str) -> None:
        connection.execute(
            "UPDATE records SET state = ? WHERE source = ? AND id = ? AND state IN (?, ?)",
            (state, self.source, record_id, ARCHIVED, DEAD),
        )

    def _replayed(self, connection: sqlite3.Connection, record_id: str, now: float) -> bool:
        # guard: a detail that is there is not asked for again
        queued = connection.execute(
            "INSERT INTO details (source, id, since, due) SELECT source, id, :now, :now FROM records "
            "WHERE source = :source AND id = :id AND state IN ('archived', 'absent', 'dead') LIMIT 1 "
            "ON CONFLICT DO UPDATE SET due = :now, first = NULL, tries = 0",
            {"source": self.source, "id": record_id, "now": now},
        ).rowcount
        connection.execute(
            "UPDATE records SET state = ? WHERE source = ? AND id = ? AND state IN (?, ?)",
            (ARCHIVED, self.source, record_id, ABSENT, DEAD),
        )
        return queued > 0


def _stopped(connection: sqlite3.Connection, source: str) -> str:
    with closing(connection.execute("SELECT why FROM stopped_details WHERE source = ?", (source,))) as found:
        row = found.fetchone()
    return str(row[0]) if row else ""
