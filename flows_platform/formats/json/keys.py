"""Whether a JSON document's records have all keys that were sent: ijson keeps only the last of repeated keys.

Keys are counted in the bytes, as colons outside strings between the container's brackets, and in the decoded records.
"""

from collections.abc import Mapping

import numpy as np

from flows_platform.domain.errors import SourceRefused
from flows_platform.formats.json.guard import Depths, Marks

OPENING, COLON = list(b"{["), ord(":")


class SentKeys:
    """Counts the keys inside the container that the document's bracket number `opening` opens, counted from 1."""

    def __init__(self, opening: int) -> None:
        self.count = 0
        self.nested = False  # whether a record contains objects or arrays
        self.depth = 0  # the depth inside the container, once it is open
        self.closed = False
        self._missing = opening

    def add(self, marks: Marks, depths: Depths) -> None:
        """Count a piece: its brackets and colons outside strings, and the depths after them."""
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
        """The marks after the opening bracket; nothing if it comes in a later piece."""
        openings = np.flatnonzero(np.isin(marks, OPENING))
        if len(openings) < self._missing:
            self._missing -= len(openings)
            return marks[:0], depths[:0]
        index = int(openings[self._missing - 1])
        self._missing, self.depth = 0, int(depths[index])
        return marks[index + 1 :], depths[index + 1 :]


def keys_in(value: object) -> int:
    """The number of keys in a decoded value, at all levels."""
    if isinstance(value, Mapping):
        return len(value) + sum(map(keys_in, value.values()))
    return sum(map(keys_in, value)) if isinstance(value, list | tuple) else 0  # a tuple: a member's name and value


def require_all(sent: int, decoded: int) -> None:
    """Refuse a document that lost keys.

    Raises:
        SourceRefused: fewer keys were decoded than sent.
    """
    # guard: keys that repeat
    if sent != decoded:
        raise SourceRefused(f"the document's records repeat keys: {sent:,} were sent, {decoded:,} are distinct.")
