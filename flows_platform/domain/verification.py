"""Counts, the order-independent digest of rows, and how far a window was verified.

The digest is the same wherever rows rest: each row is written in one canonical form, hashed with SHA-256, and the first
eight bytes of the hashes are added modulo 2^64. A sum does not depend on order, and unlike XOR it sees a row twice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Self

MODULUS = 2**64

type Value = int | float | str | None  # True and False are integers


class Verification(IntEnum):
    """How strongly a fetched window is known to be whole."""

    UNVERIFIED = 0  # nothing marks the end: an early one that is clean would pass (foreign NDJSON and CSV)
    FRAMING = 1  # foreign API: transfer and document complete, container present; cannot see omitted rows
    COUNT = 2  # and the source's own count equals what was read
    DIGEST = 3  # and the source's own digest too

    @property
    def label(self) -> str:
        return f"L{self.value} {self.word}"

    @property
    def word(self) -> str:
        """As settings and declarations name it."""
        return self.name.lower()

    @classmethod
    def of(cls, word: str) -> Self:
        """The level that `word` names; raises KeyError where none is."""
        return {level.word: level for level in cls}[word]


def canonical(row: Sequence[Value]) -> bytes:
    """A row as bytes that no other row of its table has.

    Integers in decimal, booleans as 1 and 0, texts as `<UTF-8 length>:<text>`, NULL as `~`; floats as `%.16e`, whose 17
    digits tell all doubles apart, with one zero: -0.0 and 0.0 are the same number.
    """
    return b",".join(_field(value) for value in row)


def _field(value: Value) -> bytes:
    if value is None:
        return b"~"
    if isinstance(value, str):
        text = value.encode()
        return b"%d:%s" % (len(text), text)
    if isinstance(value, float):
        return b"%.16e" % (value + 0.0)  # -0.0 + 0.0 is 0.0
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
        """The sum alone, as a stream's footer has it."""
        return f"{self.total:016x}"

    @classmethod
    def of(cls, rows: Iterable[Sequence[Value]]) -> "RowDigest":
        """The digest of an iterable of rows, each a sequence of values in the schema's order."""
        count = total = 0
        for row in rows:
            count += 1
            total += int.from_bytes(sha256(canonical(row)).digest()[:8])
        return cls(count, total % MODULUS)
