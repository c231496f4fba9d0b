"""The archive of one source: where its records, details and deliveries are, and what a delivery's evidence holds."""

import gzip
import json
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from flows_platform.domain.errors import StorageError
from flows_platform.stores.object_store import ObjectStore, Outcome
from flows_platform.webhooks.declaration import DELIVERIES, DETAILS, WEBHOOKS, WebhookDeclaration
from flows_platform.webhooks.delivery import Delivery
from flows_platform.webhooks.records import Record

MINUTE = "%Y/%m/%d/%H/%M"
BESIDE = "~"  # between an id and the digest of a later, different record; no id has it
DIGITS = (8, 28)  # of that digest; more where another record has the first ones
COPIED = ("content-type", "content-encoding", "user-agent")  # headers of evidence, with those of the proof


@dataclass(frozen=True, slots=True)
class Stored:
    """Where an object is, and whether it is new."""

    key: str
    outcome: Outcome


class Archive:
    """The objects of one source in a store.

    Args:
        store: The store.
        folder: The source's folder in it; empty for the store itself.
    """

    def __init__(self, store: ObjectStore, folder: str = "") -> None:
        self.store, self.folder = store, folder
        self._prefix = f"{folder}/" if folder else ""

    def record_key(self, record: Record) -> str:
        """Where a record is kept: by the minute in which it was created, and its id."""
        return f"{self._prefix}{WEBHOOKS}/{record.created_at.astimezone(UTC):{MINUTE}}/{record.id}"

    def detail_key(self, record_id: str) -> str:
        """Where a record's detail is kept."""
        return f"{self._prefix}{DETAILS}/{record_id[:2]}/{record_id[2:4]}/{record_id}"

    def evidence_key(self, received: datetime, digest: str, kind: str = "") -> str:
        """Where a delivery is kept: by the hour in which it came, the SHA-256 of its body, and what it is."""
        return f"{self._prefix}{DELIVERIES}/{received.astimezone(UTC):%Y/%m/%d/%H}/{digest}{kind and f'/{kind}'}"

    def beside(self, key: str, digest: str, digits: int = DIGITS[0]) -> str:
        """The key of other bytes than those that have the key."""
        return f"{key}{BESIDE}{digest[:digits]}"

    def put(self, key: str, body: bytes) -> Stored:
        """Store an object. Where other bytes have its key they stay, and the object is kept beside them.

        Raises:
            StorageError: the store cannot be written.
        """
        (found,) = self.put_all([(key, body)])
        if isinstance(found, StorageError):
            raise found
        return found

    def put_all(self, objects: Sequence[tuple[str, bytes]]) -> list[Stored | StorageError]:
        """As `put` for several objects, in less time. An error is that of its object alone."""
        placed = [(self._place(key, body), body) for key, body in objects]
        outcomes = iter(self.store.create_all([(key, body) for key, body in placed if isinstance(key, str)]))
        return [self._stored(key, body, next(outcomes)) if isinstance(key, str) else key for key, body in placed]

    def _place(self, key: str, body: bytes) -> str | StorageError:
        """The key under which an object is first tried."""
        plain = key.partition(BESIDE)[0]
        try:
            # Another server, whose journal says so, may have stored it where this one has other bytes.
            # guard: a record of another server is not stored beside itself
            if plain != key and self.store.read(plain) == body:
                return plain
        except StorageError as error:
            return error
        return key

    def _stored(self, key: str, body: bytes, outcome: Outcome | StorageError) -> Stored | StorageError:
        """What became of an object after its first try; others follow while other bytes have its key."""
        first = key
        others = (self.beside(first.partition(BESIDE)[0], sha256(body).hexdigest(), digits) for digits in DIGITS)
        while not isinstance(outcome, StorageError):
            # guard: other bytes of an id are kept beside it
            if outcome is not Outcome.DIFFERS:
                return Stored(key, outcome)
            key = next(others, "")
            if not key:
                return StorageError(
                    f"the archive has other objects under every key beside {first}.", remedy="Report it."
                )
            (outcome,) = self.store.create_all([(key, body)])
        return outcome

    def records(self) -> Iterator[tuple[str, str]]:
        """The keys of all records with their ids, in the order of the minutes in which they were created."""
        for key in self.store.keys(f"{self._prefix}{WEBHOOKS}/"):
            yield key, key.rpartition("/")[2].partition(BESIDE)[0]

    def details(self) -> Iterator[str]:
        """The ids of all records whose details are there."""
        for key in self.store.keys(f"{self._prefix}{DETAILS}/"):
            yield key.rpartition("/")[2]

    def between(self, start: datetime, end: datetime, after: str = "") -> Iterator[str]:
        """The keys of records created from the minute of `start` up to that of `end`, which is left out.

        In order, and without records that are beside others. Only what is in the range is listed; `after` is the
        `position` of a record after which to start.
        """
        prefix = f"{self._prefix}{WEBHOOKS}/"
        first, last = (f"{prefix}{instant.astimezone(UTC):{MINUTE}}" for instant in (start, end))
        for key in self.store.keys(prefix, after=max(first, f"{prefix}{after}")):
            # guard: a range ends
            if key >= last:
                return
            # guard: the first record of an id counts
            if BESIDE not in key:
                yield key

    def position(self, key: str) -> str:
        """The minute and the id of a record."""
        return key.removeprefix(f"{self._prefix}{WEBHOOKS}/")

    def key_at(self, position: str) -> str:
        """The key of a record at its `position`."""
        return f"{self._prefix}{WEBHOOKS}/{position}"

    def own(self, key: str) -> str:
        """The key here of a record or of evidence that has the key in another archive."""
        # The last one: a folder may end like one of the layout.
        return self._prefix + key[max(key.rfind(f"{name}/") for name in (WEBHOOKS, DELIVERIES)) :]

    def deliveries(self) -> Iterator[str]:
        """The keys of all evidence, in the order of the hours in which deliveries came."""
        yield from self.store.keys(f"{self._prefix}{DELIVERIES}/")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is kept of a delivery besides its records."""

    source: str
    received: datetime
    digest: str
    delivery_id: str
    refused: str

    @classmethod
    def read(cls, body: bytes) -> "Evidence":
        """What an object of evidence says.

        Raises:
            StorageError: it is not evidence.
        """
        try:
            found = json.loads(gzip.decompress(body))
            received = datetime.fromisoformat(found["received"])
            return cls(found["source"], received, found["sha256"], found["delivery"], found["refused"])
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            raise StorageError("an object of evidence is damaged.", remedy="Restore it from a copy.") from error


def evidence(declaration: WebhookDeclaration, delivery: Delivery, delivery_id: str, *, refused: str = "") -> bytes:
    """A delivery as gzip JSON: its whole body, the headers that prove its sender, the sender's address and the time.

    A header or URL that holds a secret is not in it. Equal deliveries of one time give equal bytes.

    Args:
        declaration: The source's declaration.
        delivery: The delivery.
        delivery_id: Its id.
        refused: Why its records are not kept; empty where they are.
    """
    names = dict.fromkeys([*COPIED, *declaration.webhook.verify.evidence, *declaration.webhook.verify.id_headers])
    text = _utf8(delivery.body)
    held = {
        "source": declaration.name,
        "received": delivery.received.isoformat(),
        "sender": delivery.sender,
        "delivery": delivery_id,
        "sha256": sha256(delivery.body).hexdigest(),
        "refused": refused,
        "headers": {name: list(delivery.headers[name]) for name in names if name in delivery.headers},
        **({"body_base64": b64encode(delivery.body).decode()} if text is None else {"body": text}),
    }
    return gzip.compress(json.dumps(held, ensure_ascii=True).encode(), compresslevel=1, mtime=0)


def _utf8(body: bytes) -> str | None:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return None
