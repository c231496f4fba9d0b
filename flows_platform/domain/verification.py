"""Counts, the order-independent digest of rows, and how far a window was verified.

The digest is the same wherever rows are stored: each row is written in one canonical form and hashed with SHA-256, and
the first eight bytes of the hashes are added modulo 2^64. A sum does not depend on the order, and unlike XOR it changes
when a row comes twice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum
from hashlib import sha256
from typing import Self

from flows_platform.domain.decimals import plain

MODULUS = 2**64

type Value = int | float | str | None  # True and False are integers
type Digested = Value | Decimal


class Verification(IntEnum):
    """How sure it is that a fetched window is complete."""

    UNVERIFIED = 0  # nothing marks the end: a stream cut between two records would pass (foreign NDJSON and CSV)
    FRAMING = 1  # foreign API: transfer and document are complete, the container is there; omitted rows go unseen
    COUNT = 2  # in addition, the source's own count equals the number of rows read
    DIGEST = 3  # in addition, the source's own digest equals that of the rows read

    @property
    def label(self) -> str:
        return f"L{self.value} {self.word}"

    @property
    def word(self) -> str:
        """The level's name in settings and YAML."""
        return self.name.lower()

    @classmethod
    def of(cls, word: str) -> Self:
        """The level that `word` names.

        Raises:
            KeyError: no level has that name.
        """
        return {level.word: level for level in cls}[word]


def canonical(row: Sequence[Digested]) -> bytes:
    """A row as bytes: two rows of a table that differ have different bytes.

    Integers are decimal, booleans 1 and 0, texts `<UTF-8 length>:<text>`, NULL is `~`. Floats are `%.16e`, whose 17
    digits distinguish all doubles; -0.0 is written as 0.0, since they are the same number. Decimals are plain, without
    zeros at the end. Timestamps are microseconds and dates days, both integers since 1970.
    """
    return b",".join(_field(value) for value in row)


def _field(value: Digested) -> bytes:
    if value is None:
        return b"~"
    if isinstance(value, str):
        text = value.encode()
        return b"%d:%s" % (len(text), text)
    if isinstance(value, float):
        return b"%.16e" % (value + 0.0)  # -0.0 + 0.0 is 0.0
    if isinstance(value, Decimal):
        return plain(value).encode()
    return b"%d" % value


@dataclass(frozen=True, slots=True)
class RowDigest:
    """The number of rows and the sum of their hashes."""

    count: int = 0
    total: int = 0

    def __add__(self, other: "RowDigest") -> "RowDigest":
        return RowDigest(self.count + other.count, (self.total + other.total) % MODULUS)

    def __str__(self) -> str:
        return f"{self.count}:{self.hex}"

    @property
    def hex(self) -> str:
        """The sum alone, as a stream's footer writes it."""
        return f"{self.total:016x}"

    @classmethod
    def of(cls, rows: Iterable[Sequence[Digested]]) -> "RowDigest":
        """The digest of `rows`; a row is a sequence of values in the schema's order."""
        count = total = 0
        for row in rows:
            count += 1
            total += int.from_bytes(sha256(canonical(row)).digest()[:8])
        return cls(count, total % MODULUS)
