"""A store of objects by key. An object is created once and never changes."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from flows_platform.domain.errors import InputError, StorageError

LONGEST_SEGMENT = 230  # bytes; a file's name has at most 255
_SEGMENT = re.compile(r"[A-Za-z0-9._:~-]{1,230}")


class Outcome(StrEnum):
    """The outcome of creating an object."""

    CREATED = "created"
    SAME = "same"  # the key has the same bytes already
    DIFFERS = "differs"  # the key has other bytes, which stay


class ObjectTooLarge(Exception):
    """The object has more bytes than the caller allows."""


class Dated(NamedTuple):
    """The bytes of an object, and when it was created."""

    body: bytes
    created: datetime


class ObjectStore(ABC):
    """Objects by key. A key is a path of plain segments, such as `webhooks/2024/03/01/12/30/ID`."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Where the objects are, without credentials. Stores with the same name have the same objects."""

    def create(self, key: str, body: bytes) -> Outcome:
        """Store an object, unless its key is taken. After the call it survives a power failure, whoever wrote it.

        Raises:
            InputError: the text is not a key.
            StorageError: the store cannot be written.
        """
        (found,) = self.create_all([(key, body)])
        if isinstance(found, StorageError):
            raise found
        return found

    @abstractmethod
    def create_all(self, objects: Sequence[tuple[str, bytes]]) -> list[Outcome | StorageError]:
        """As `create` for several objects, in less time. An error is that of its object alone.

        Raises:
            InputError: one of the texts is not a key; nothing is stored.
        """

    def read(self, key: str, most: int | None = None) -> bytes | None:
        """The bytes of an object; None if there is none. An object of more than `most` bytes is not read into memory.

        Raises:
            InputError: the text is not a key.
            ObjectTooLarge: the object has more than `most` bytes.
            StorageError: the store cannot be read.
        """
        found = self.dated(key, most)
        return found.body if found else None

    @abstractmethod
    def dated(self, key: str, most: int | None = None) -> Dated | None:
        """As `read`, with the time in UTC at which the object was created here. A copy has the time of its copying.

        Raises:
            InputError: the text is not a key.
            ObjectTooLarge: the object has more than `most` bytes.
            StorageError: the store cannot be read.
        """

    @abstractmethod
    def keys(self, prefix: str = "", after: str = "") -> Iterator[str]:
        """The keys that start with the text `prefix` and sort after `after`, in the order of their characters.

        Raises:
            StorageError: the store cannot be read.
        """


def is_key(text: str) -> bool:
    """Whether a text is a key: its segments are plain, and the first one does not start with a dot."""
    segments = text.split("/")
    plain = all(_SEGMENT.fullmatch(segment) and segment not in {".", ".."} for segment in segments)
    return plain and not text.startswith(".")


def check_key(key: str) -> str:
    """The key itself.

    Raises:
        InputError: a segment is empty, `.`, `..` or too long, or has characters that a plain one may not have.
    """
    # guard: a key stays in its store
    if not is_key(key):
        raise InputError(
            f"{key!r} is not the key of an object.",
            remedy=f"Each segment needs 1 to {LONGEST_SEGMENT} letters, digits or . _ : ~ -, and must not be `.` or "
            "`..`; the first one must not start with a dot.",
        )
    return key
