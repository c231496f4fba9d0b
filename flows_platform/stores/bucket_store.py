"""Objects in a bucket, below a prefix: what the stores of all services have in common."""

import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from flows_platform.domain.errors import StorageError
from flows_platform.stores.object_store import Dated, ObjectStore, Outcome, check_key

# Tries of a write whose name is neither free nor taken, which is S3's answer during another write of the same name.
CONFLICTS = 6
CONFLICT_SECONDS = 0.05  # before the second try; doubled before each further one
CONNECT_SECONDS = 3
REQUEST_SECONDS = 10
RETRY_SECONDS = 10  # after which a request is not tried again
AT_ONCE = 32  # objects that are written at a time: each takes some milliseconds, mostly of waiting


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket, and the prefix of the names of the store's objects in it."""

    scheme: str
    name: str
    prefix: str = ""

    @property
    def url(self) -> str:
        """The URL, as it is configured."""
        return f"{self.scheme}://{self.name}{f'/{self.prefix}' if self.prefix else ''}"

    @property
    def root(self) -> str:
        """The text before a key in the name of an object."""
        return f"{self.prefix}/" if self.prefix else ""


class BucketStore(ObjectStore):
    """Objects in a bucket.

    Raises:
        StorageError: the bucket cannot be listed now, or does not exist.
    """

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="bucket")
        next(self.keys(), None)  # so that opening the store finds a wrong bucket or credentials

    def create_all(self, objects: Sequence[tuple[str, bytes]]) -> list[Outcome | StorageError]:
        named = [(self.bucket.root + check_key(key), body) for key, body in objects]
        return list(self._pool.map(self._tried, named))

    def _tried(self, named: tuple[str, bytes]) -> Outcome | StorageError:
        try:
            return self._created(*named)
        except StorageError as error:
            return error

    def _created(self, name: str, body: bytes) -> Outcome:
        for number in range(CONFLICTS):
            if number:
                time.sleep(CONFLICT_SECONDS * 2 ** (number - 1))
            if self._put(name, body):
                return Outcome.CREATED
            # If the answer to our own write was lost, the object is ours.
            held = self._get(name)
            # guard: a write in conflict is tried again
            if held is not None:
                return Outcome.SAME if held == body else Outcome.DIFFERS
        raise StorageError(
            f"{self.bucket.url} has a conflict at {name}: it cannot be created, and is not there.",
            remedy="Send it again; if the conflict remains, look for what deletes objects there.",
        )

    def read(self, key: str, most: int | None = None) -> bytes | None:
        return self._get(self.bucket.root + check_key(key), most)

    def dated(self, key: str, most: int | None = None) -> Dated | None:
        return self._dated(self.bucket.root + check_key(key), most)

    def keys(self, prefix: str = "", after: str = "") -> Iterator[str]:
        root, last = self.bucket.root, ""
        for name in self._names(root + prefix, root + after if after else ""):
            if not name.startswith(root):  # the marker of a folder, which some tools create
                continue
            key = name.removeprefix(root)
            # guard: a listing is in order
            if key <= last:
                raise StorageError(
                    f"{self.bucket.url} lists {key!r} after {last!r}: its order is not that of the names.",
                    remedy="Use a service that lists in order: S3, Google Cloud Storage and most others do.",
                )
            last = key
            if key.startswith(prefix) and key > after:
                yield key
            elif key > prefix and not key.startswith(prefix):
                return

    @abstractmethod
    def _put(self, name: str, body: bytes) -> bool:
        """Create an object; False if its name is taken, or another write of it is under way."""

    @abstractmethod
    def _get(self, name: str, most: int | None = None) -> bytes | None:
        """The bytes of an object; None if there is none.

        Raises:
            ObjectTooLarge: it has more than `most` bytes.
        """

    @abstractmethod
    def _dated(self, name: str, most: int | None = None) -> Dated | None:
        """As `_get`, with the time at which the object was created."""

    @abstractmethod
    def _names(self, prefix: str, after: str) -> Iterator[str]:
        """Names in the bucket, in order: at least all that start with `prefix` and sort after `after`."""
