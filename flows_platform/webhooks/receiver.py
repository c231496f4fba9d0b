"""Receives deliveries: verifies and parses them, notes them in the journal, and stores them in the archive. No HTTP."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import batched
from typing import TYPE_CHECKING, NamedTuple

from flows_platform.declared import Secrets
from flows_platform.domain.errors import StorageError
from flows_platform.domain.progress import Progress, silent
from flows_platform.runtime.budget import Budget
from flows_platform.webhooks.archive import Archive, Evidence, evidence, is_beside
from flows_platform.webhooks.declaration import Webhook, WebhookDeclaration
from flows_platform.webhooks.delivery import Delivery, Fetch
from flows_platform.webhooks.detail_queue import PRESENT, DetailQueue
from flows_platform.webhooks.journal import ARCHIVED, DeliveryEntry, Entered, Journal, RecordEntry, ToStore, only
from flows_platform.webhooks.journal_index import JournalIndex, gone
from flows_platform.webhooks.key_list import KeyList
from flows_platform.webhooks.parsing import (
    BadDelivery,
    Parsed,
    Record,
    object_in,
    one_body,
    parse,
    record_in,
    records,
    size_of,
)

if TYPE_CHECKING:
    from flows_platform.webhooks.sns import Sns

WORK = Budget(4 << 20)  # bytes of the bodies that are processed at a time; their records and evidence are copies
RECONCILED = "reconciled"  # ends the key of evidence that is a vendor's list
REINDEXED = 500  # entries in a transaction
FOREVER = timedelta(days=400_000)  # the times of archived records were checked when these were delivered


@dataclass(frozen=True, slots=True)
class Receipt:
    """The result of a delivery.

    Args:
        archived: Number of records that it added to the archive.
        repeated: Number of records that the archive had already.
        differing: Number of records that came with the id of an earlier, different record; both are kept.
        greeting: The answer to a delivery that only tests the connection; None for all others.
    """

    archived: int = 0
    repeated: int = 0
    differing: int = 0
    greeting: dict[str, object] | None = None


class _Proven(NamedTuple):
    """A verified delivery, and the one to parse, which is that in its envelope if it has one."""

    delivery: Delivery
    opened: Delivery


class Receiver:
    """Receives the deliveries of one source. Its methods may be called from any thread.

    Args:
        declaration: The source's declaration.
        secrets: The secrets that verify its senders.
        archive: The source's archive.
        journal: The journal.
        details_due: Called after records were archived; None if the source's details are not fetched. Must not block.
        fetch: Fetches what `unwrap` needs; None for the default.
    """

    def __init__(
        self,
        declaration: WebhookDeclaration,
        secrets: Secrets,
        archive: Archive,
        journal: Journal,
        details_due: Callable[[], None] | None = None,
        *,
        fetch: Fetch | None = None,
    ) -> None:
        self.declaration = declaration
        self._sns = _sns(declaration.webhook, fetch)
        self._secrets, self._archive, self._journal = secrets, archive, journal
        self._index = JournalIndex(journal, declaration.name)
        self._details_due = details_due

    def receive(self, delivery: Delivery) -> Receipt:
        """Receive a delivery. When the call returns, the archive has all of it; after an error, it may be sent again.

        Raises:
            Unverified: it does not prove who sent it; nothing is kept.
            ProofUnavailable: what is needed to verify it cannot be fetched now; nothing is kept.
            BadDelivery: it is not acceptable; only its evidence is kept.
            StorageError: journal or archive cannot be written now.
        """
        return only(self.receive_all([delivery]))

    def receive_all(self, deliveries: Sequence[Delivery]) -> list[Receipt | Exception]:
        """As `receive`, for several deliveries in less time. The results are receipts or errors, in the same order."""
        proven = [_tried(self._proven, delivery) for delivery in deliveries]
        with WORK.of(sum(self.size(one.delivery) for one in proven if isinstance(one, _Proven))):
            noted = [_tried(self._noted, *one) if isinstance(one, _Proven) else one for one in proven]
            kept = iter(self._kept([one for one in noted if isinstance(one, DeliveryEntry)]))
            return [next(kept) if isinstance(one, DeliveryEntry) else one for one in noted]

    def size(self, delivery: Delivery) -> int:
        """The bytes that a delivery's body has once it is decompressed."""
        return size_of(self.declaration.webhook, delivery)

    def unknown(self, ids: Sequence[str]) -> set[str]:
        """Which of these ids no record in the journal has.

        Raises:
            StorageError: the journal cannot be read.
        """
        return self._journal.unknown(self.declaration.name, ids)

    def has(self, record: Record) -> bool:
        """Whether the archive has a record with this id and minute.

        Raises:
            StorageError: the archive cannot be read.
        """
        return self._archive.store.read(self._archive.record_key(record)) is not None

    def keep_listed(self, body: bytes, url: str, now: datetime) -> Receipt:
        """Archive records of the vendor's list.

        Args:
            body: The records in a body, as the vendor would have delivered them.
            url: The URL of the list.
            now: The time.

        Raises:
            BadDelivery: one of the records is not acceptable.
            StorageError: journal or archive cannot be written now.
        """
        delivery = Delivery(body, {}, now, sender=url)
        value = object_in(body)
        parsed = Parsed(body.decode(), value, None)
        entry = self._entry(delivery, parsed, records(self.declaration.webhook, parsed, now), RECONCILED)
        return only(self._kept([entry]))

    def drain(self) -> int:
        """Store the objects of open deliveries, which were interrupted. Returns the number of deliveries.

        Raises:
            StorageError: journal or archive cannot be used now.
        """
        opened = self._journal.open_deliveries(self.declaration.name)
        for number in opened:
            only(self._store([(number, self._journal.to_store(number))]))
        return len(opened)

    def reindex(self, progress: Progress = silent) -> int:
        """Rebuild the journal from the archive, as it is now. Returns the number of records.

        Args:
            progress: Called with the number of objects that were read: records, deliveries and details.

        Raises:
            StorageError: journal or archive cannot be used, or an object is not what its key says.
        """
        self.forget_another_archive(emptied=True)
        count = 0
        for entries in batched(self._archived_records(), REINDEXED, strict=False):
            self._journal.restore(self.declaration.name, entries, [])
            count += len(entries)
            progress(count, None)
        read = count
        for deliveries in batched(self._archived_deliveries(), REINDEXED, strict=False):
            self._journal.restore(self.declaration.name, [], deliveries)
            progress(read := read + len(deliveries), None)
        queue = DetailQueue(self._journal, self.declaration.name)
        for ids in batched(self._archive.details(), REINDEXED, strict=False):
            queue.settle(ids, PRESENT)
            progress(read := read + len(ids), None)
        self._forget_what_is_gone(queue)
        # Last, so that an interrupted rebuild starts again.
        self._index.note(self._archive)
        return count

    def forget_another_archive(self, *, emptied: bool = False) -> None:
        """Forget what the journal knows about another archive: another store or another folder.

        What is still to be stored stays in the journal, and will be stored in this archive.

        Args:
            emptied: Whether an archive that lost its newest record counts as another one: it was emptied on purpose.

        Raises:
            StorageError: journal or archive cannot be used now, or the journal knows records and the archive has none:
                a disk may not be mounted.
        """
        lost, indexed = self._lost(), self.is_indexed
        # guard: a lost archive is not an empty one
        if lost and indexed and not emptied and not any(self._archive.records()):
            raise StorageError(
                f"the archive {self._archive.store.name} has no record of {self.declaration.name}, but the journal "
                f"knows some; the newest is {lost}.",
                remedy="Mount or restore the archive, or accept the loss with `flows alerts reindex`.",
            )
        # guard: a journal of another archive is not believed
        if not indexed or (lost and emptied):
            self._index.move(self._archive)

    def _lost(self) -> str | None:
        """The key of the newest record that the journal knows, if the archive does not have it."""
        newest = self._index.newest_key()
        return newest if newest is not None and self._archive.store.read(newest) is None else None

    @property
    def is_indexed(self) -> bool:
        """Whether the journal has seen all objects of this archive.

        Raises:
            StorageError: the journal cannot be read.
        """
        return self._index.archive() == (self._archive.store.name, self._archive.folder)

    def _proven(self, delivery: Delivery) -> _Proven | Receipt:
        """Verify a delivery, and open its envelope if it has one."""
        # guard: a sender is proven first
        self.declaration.webhook.verify.verify(delivery, self._secrets)
        if not self._sns:
            return _Proven(delivery, delivery)
        message = self._sns.verified(delivery)
        if message.is_notification:
            return _Proven(delivery, message.opened(delivery))
        self._sns.confirm(message)
        return Receipt(greeting={"success": True})

    def _noted(self, delivery: Delivery, opened: Delivery) -> DeliveryEntry | Receipt:
        """Parse a verified delivery. Returns its entry for the journal, or the answer to a test of the connection."""
        webhook = self.declaration.webhook
        try:
            with one_body():
                parsed = parse(webhook, opened)
                if (greeting := webhook.verify.greeted(delivery, parsed.value)) is not None:
                    return Receipt(greeting=greeting)
                # guard: all records are checked before one is kept
                found = records(webhook, parsed, delivery.received)
        except BadDelivery as error:
            self._keep_refused(delivery, str(error))
            raise
        return self._entry(delivery, parsed, found)

    def _entry(self, delivery: Delivery, parsed: Parsed, found: list[Record], kind: str = "") -> DeliveryEntry:
        """The entry for the journal of a delivery and its records."""
        digest = sha256(delivery.body).hexdigest()
        # Deliveries without an id are equal if their bodies are.
        delivery_id = parsed.delivery_id or digest
        held = evidence(self.declaration, delivery, delivery_id)
        key = self._archive.evidence_key(delivery.received, digest, kind)
        noted = [self._record_entry(record) for record in found]
        return DeliveryEntry(self.declaration.name, delivery_id, digest, delivery.received, ToStore(key, held), noted)

    def _kept(self, entries: Sequence[DeliveryEntry]) -> list[Receipt | Exception]:
        """Note deliveries and store their objects. The results are receipts or errors, in the same order."""
        if not entries:
            return []
        try:
            entered = self._journal.enter(entries)
            stored = [(one.number, one.to_store) for one in entered if isinstance(one, Entered)]
            errors = iter(self._store(stored))
        except StorageError as error:
            return [error] * len(entries)
        return [
            one if isinstance(one, Exception) else next(errors) or Receipt(one.archived, one.repeated, one.differing)
            for one in entered
        ]

    def _store(self, deliveries: Sequence[tuple[int, Sequence[ToStore]]]) -> list[StorageError | None]:
        """Store the objects of deliveries, given with their numbers, and note which deliveries are complete.

        Returns:
            For each delivery the error of one of its objects; None if all are stored.
        """
        # guard: a delivery is in the archive before it counts
        stored = iter(self._archive.put_all([(one.key, one.body) for _, objects in deliveries for one in objects]))
        errors: list[StorageError | None] = []
        complete: dict[int, dict[str, str]] = {}  # by number, the keys of objects that are beside others
        for number, objects in deliveries:
            moved: dict[str, str] = {}
            error = None
            for one in objects:
                found = next(stored)
                if isinstance(found, StorageError):
                    error = found
                elif found.key != one.key:
                    moved[one.key] = found.key
            errors.append(error)
            if error is None:
                complete[number] = moved
        self._note(complete)
        return errors

    def _note(self, complete: dict[int, dict[str, str]]) -> None:
        """Note that deliveries are in the archive, and wake the worker that fetches their records' details."""
        if not complete:
            return
        now = datetime.now(UTC).timestamp() if self._details_due else None
        self._journal.archived(complete, details=now)
        if self._details_due:
            self._details_due()

    def _record_entry(self, record: Record) -> RecordEntry:
        key = self._archive.record_key(record)
        beside = self._archive.beside(key, record.sha256)
        return RecordEntry(record.id, record.sha256, record.created_at, len(record.body), key, beside, record.body)

    def _keep_refused(self, delivery: Delivery, why: str) -> None:
        """Keep a verified delivery that is refused, since its sender may not send it again."""
        if not self.declaration.webhook.proves:
            return
        digest = sha256(delivery.body).hexdigest()
        key = self._archive.evidence_key(delivery.received, digest)
        # guard: refused deliveries leave evidence
        self._archive.put(key, evidence(self.declaration, delivery, digest, refused=why))

    def _forget_what_is_gone(self, queue: DetailQueue) -> None:
        """Forget records that were removed from the archive, and make details due again that were removed."""
        with ExitStack() as opened:
            with self._index.keys(beside=True) as known:
                keys = opened.enter_context(closing(KeyList(known)))
            with self._index.present() as present:
                ids = opened.enter_context(closing(KeyList(present)))
            records = gone((key for key, _ in self._archive.records()), iter(keys))
            for batch in batched(records, REINDEXED, strict=False):
                self._index.forget(batch)
            for batch in batched(gone(self._archive.details(), iter(ids)), REINDEXED, strict=False):
                queue.lost(batch)

    def _archived_records(self) -> Iterable[RecordEntry]:
        for key, record_id in self._archive.records():
            body = self._read(key)
            try:
                record = record_in(self.declaration.webhook, body, record_id, datetime.now(UTC) + FOREVER)
            except BadDelivery as error:
                raise StorageError(
                    f"the archive's object {key} is not a record: {error}", remedy="Move it out of the archive."
                ) from error
            differs = is_beside(key)
            yield RecordEntry(record_id, record.sha256, record.created_at, len(body), key, key, None, differs, ARCHIVED)

    def _archived_deliveries(self) -> Iterable[DeliveryEntry]:
        for key in self._archive.deliveries():
            found = Evidence.read(self._read(key))
            if not found.refused:
                nothing = ToStore(key, b"")
                yield DeliveryEntry(found.source, found.delivery_id, found.digest, found.received, nothing)

    def _read(self, key: str) -> bytes:
        body = self._archive.store.read(key)
        if body is None:
            raise StorageError(f"the archive's object {key} went away while it was read.", remedy="Run it again.")
        return body


def _tried[**P, T](work: Callable[P, T], *given: P.args, **named: P.kwargs) -> T | Exception:
    """The result of some work, or its error, which belongs to one delivery."""
    # guard: a delivery that fails fails alone
    try:
        return work(*given, **named)
    except Exception as error:  # noqa: BLE001 - its sender's request raises it
        return error


def _sns(webhook: Webhook, fetch: Fetch | None) -> "Sns | None":
    # guard: what comes through SNS is proven by it
    if webhook.unwrap is None:
        return None
    # Importing these takes 50 ms, which servers without SNS do not need.
    from flows_platform.webhooks.sns import Sns, fetch_from_sns  # noqa: PLC0415

    return Sns(webhook.topics, fetch or fetch_from_sns)
