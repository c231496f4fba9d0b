"""The archive of one source: the keys of its records, details and deliveries, and the evidence of a delivery."""

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
from flows_platform.webhooks.parsing import Record

MINUTE = "%Y/%m/%d/%H/%M"
BESIDE = "~"  # separates an id from the digest of a later, different record; ids do not contain it
DIGITS = (8, 28)  # of that digest; the longer form is for records whose digests begin alike
COPIED = ("content-type", "content-encoding", "user-agent")  # headers in evidence, besides those of the proof


def record_id_of(key: str) -> str:
    """The id of the record or detail with this key."""
    return key.rpartition("/")[2].partition(BESIDE)[0]


def is_beside(key: str) -> bool:
    """Whether the key is that of an object that is kept beside the first one with its id."""
    return BESIDE in key


@dataclass(frozen=True, slots=True)
class Stored:
    """The key under which an object is stored, and whether the object is new."""

    key: str
    outcome: Outcome


class Archive:
    """The objects of one source in a store.

    Args:
        store: The store.
        folder: The source's folder in the store; empty if the archive is the whole store.
    """

    def __init__(self, store: ObjectStore, folder: str = "") -> None:
        self.store, self.folder = store, folder
        self._prefix = f"{folder}/" if folder else ""

    def record_key(self, record: Record) -> str:
        """The key of a record: the minute in which it was created, and its id."""
        return f"{self._prefix}{WEBHOOKS}/{record.created_at.astimezone(UTC):{MINUTE}}/{record.id}"

    def detail_key(self, record_id: str) -> str:
        """The key of a record's detail."""
        return f"{self._prefix}{DETAILS}/{record_id[:2]}/{record_id[2:4]}/{record_id}"

    def evidence_key(self, received: datetime, digest: str, kind: str = "") -> str:
        """The key of a delivery's evidence: the hour in which it came, the SHA-256 of its body, and its kind if any."""
        return f"{self._prefix}{DELIVERIES}/{received.astimezone(UTC):%Y/%m/%d/%H}/{digest}{kind and f'/{kind}'}"

    def beside(self, key: str, digest: str, digits: int = DIGITS[0]) -> str:
        """The key for other bytes than those that are stored under `key`."""
        return f"{key}{BESIDE}{digest[:digits]}"

    def put(self, key: str, body: bytes) -> Stored:
        """Store an object. If other bytes have its key, they stay there, and the object is stored beside them.

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
        """The keys and ids of all records, in the order of the minutes in which they were created."""
        for key in self.store.keys(f"{self._prefix}{WEBHOOKS}/"):
            yield key, record_id_of(key)

    def details(self) -> Iterator[str]:
        """The ids of all records whose details are in the archive."""
        for key in self.store.keys(f"{self._prefix}{DETAILS}/"):
            yield record_id_of(key)

    def between(self, start: datetime, end: datetime, after: str = "") -> Iterator[str]:
        """The keys of the records of a range of minutes, in order, without those that are beside others.

        Args:
            start: The first minute.
            end: The first minute after the range.
            after: The position of a record; only later ones are listed. The store is not asked for earlier ones.
        """
        prefix = f"{self._prefix}{WEBHOOKS}/"
        first, last = (f"{prefix}{instant.astimezone(UTC):{MINUTE}}" for instant in (start, end))
        for key in self.store.keys(prefix, after=max(first, f"{prefix}{after}")):
            # guard: a range ends
            if key >= last:
                return
            # guard: the first record of an id counts
            if not is_beside(key):
                yield key

    def position(self, key: str) -> str:
        """The position of a record in the order of keys: its minute and id."""
        return key.removeprefix(f"{self._prefix}{WEBHOOKS}/")

    def key_at(self, position: str) -> str:
        """The key of a record at its `position`."""
        return f"{self._prefix}{WEBHOOKS}/{position}"

    def own(self, key: str) -> str:
        """The key here of a record or of evidence that has the key in another archive."""
        # The last one: a folder may end like one of the layout.
        return self._prefix + key[max(key.rfind(f"{name}/") for name in (WEBHOOKS, DELIVERIES)) :]

    def deliveries(self) -> Iterator[str]:
        """The keys of the evidence of all deliveries, in the order of the hours in which these came."""
        yield from self.store.keys(f"{self._prefix}{DELIVERIES}/")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the archive keeps about a delivery besides its records.

    Args:
        source: The source's name.
        received: When the delivery was received.
        digest: The SHA-256 of its body, in hex.
        delivery_id: Its id.
        refused: Why its records were refused; empty if they were accepted.
    """

    source: str
    received: datetime
    digest: str
    delivery_id: str
    refused: str

    @classmethod
    def read(cls, body: bytes) -> "Evidence":
        """The evidence in an object.

        Raises:
            StorageError: the object is not evidence, or is damaged.
        """
        try:
            found = json.loads(gzip.decompress(body))
            received = datetime.fromisoformat(found["received"])
            return cls(found["source"], received, found["sha256"], found["delivery"], found["refused"])
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            raise StorageError("an object of evidence is damaged.", remedy="Restore it from a copy.") from error


def evidence(declaration: WebhookDeclaration, delivery: Delivery, delivery_id: str, *, refused: str = "") -> bytes:
    """The evidence of a delivery as gzipped JSON: its body, the headers that prove its sender, its sender and time.

    It does not contain headers and URLs that hold a secret. Equal deliveries of the same time give equal bytes.

    Args:
        declaration: The source's declaration.
        delivery: The delivery.
        delivery_id: Its id.
        refused: Why its records are refused; empty if they are accepted.
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
