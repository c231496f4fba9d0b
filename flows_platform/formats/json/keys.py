"""Whether a JSON document's records have all the keys that were sent: ijson keeps the last of two that are the same.

Keys are counted in the bytes, as colons outside strings between the container's brackets, and in the decoded records.
"""

from collections.abc import Mapping

import numpy as np

from flows_platform.domain.errors import SourceRefused
from flows_platform.formats.json.guard import Depths, Marks

OPENING, COLON = list(b"{["), ord(":")


class SentKeys:
    """The keys inside the container that the `opening`-th bracket of the document opens, counted from 1."""

    def __init__(self, opening: int) -> None:
        self.count = 0
        self.nested = False  # some record holds objects or arrays
        self.depth = 0  # inside the container, once it is open
        self.closed = False
        self._missing = opening

    def add(self, marks: Marks, depths: Depths) -> None:
        """A piece's brackets and colons outside strings, and the depth after each."""
        if self._missing:
            marks, depths = self._inside(marks, depths)
        if self.closed or self._missing or not len(marks):
            return
        ends = np.flatnonzero(depths < self.depth)
        if len(ends):
            self.closed = True
            marks, depths = marks[: ends[0]], depths[: ends[0]]
        self.count += int(np.count_nonzero(marks == COLON))
        self.nested = self.nested or (len(depths) > 0 and int(depths.max()) > self.depth + 1)

    def _inside(self, marks: Marks, depths: Depths) -> tuple[Marks, Depths]:
        """What follows the opening; nothing where it lies in a later piece."""
        openings = np.flatnonzero(np.isin(marks, OPENING))
        if len(openings) < self._missing:
            self._missing -= len(openings)
            return marks[:0], depths[:0]
        place = int(openings[self._missing - 1])
        self._missing, self.depth = 0, int(depths[place])
        return marks[place + 1 :], depths[place + 1 :]


def keys_in(value: object) -> int:
    """The keys of a decoded value, at all levels."""
    if isinstance(value, Mapping):
        return len(value) + sum(map(keys_in, value.values()))
    return sum(map(keys_in, value)) if isinstance(value, list) else 0


def require_all(sent: int, decoded: int) -> None:
    """Refuse a document that lost keys.

    Raises:
        SourceRefused: it did.
    """
    # guard: keys that repeat
    if sent != decoded:
        raise SourceRefused(f"keys repeat in the document's records: {sent:,} were sent, {decoded:,} are distinct.")
