"""One block of comma-separated lines: which of them have the right number of fields. Never looks into a field.

Commas and newlines are found by numpy, and the good lines are joined with their numbers by Arrow, so that no line
becomes a Python object unless it is rejected.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

type Positions = npt.NDArray[np.intp]

COMMA = ord(",")
NEWLINE = ord("\n")


def _binary_scalar(value: bytes) -> pa.BinaryScalar:
    # From buffers, as everything here: pa.array(), pa.scalar() and plain Python arguments of compute functions import
    # pandas where it is installed, 30 MB for nothing.
    offsets = pa.py_buffer(np.array([0, len(value)], np.int32))
    return pa.Array.from_buffers(pa.binary(), 1, [None, offsets, pa.py_buffer(value)])[0]


_SEPARATOR = _binary_scalar(b",")


class LineBlock:
    """Whole lines with `fields` fields each, or not; a missing last newline is supplied."""

    def __init__(self, content: bytes, *, fields: int) -> None:
        self.content = content if content.endswith(b"\n") else content + b"\n"
        self.fields = fields
        codes = np.frombuffer(self.content, np.uint8)
        self.ends: Positions = np.flatnonzero(codes == NEWLINE)
        commas: Positions = np.flatnonzero(codes == COMMA)
        self.good = None if self._proves_all_good(commas) else self._count(commas) == fields - 1
        self.lines = len(self.ends)
        self.kept = self.lines if self.good is None else int(np.count_nonzero(self.good))

    def _proves_all_good(self, commas: Positions) -> bool:
        """Whether the k-th group of `fields - 1` commas lies in the k-th line, for every k."""
        per_line = self.fields - 1
        if len(commas) != per_line * len(self.ends):
            return False
        last, first = commas[per_line - 1 :: per_line], commas[::per_line]
        return bool((last < self.ends).all() and (first[1:] > self.ends[:-1]).all())

    def _count(self, commas: Positions) -> Positions:
        """Commas in each line."""
        return np.diff(np.searchsorted(commas, self.ends), prepend=0)

    def numbered(self, first: int) -> pa.Buffer:
        """The good lines, each as number, comma and line with its newline, numbered from `first`."""
        offsets = np.empty(self.lines + 1, np.int32)
        offsets[0] = 0
        offsets[1:] = self.ends + 1
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(self.content)]
        lines = pa.Array.from_buffers(pa.binary(), self.lines, buffers)
        if self.good is not None:
            mask = pa.py_buffer(np.packbits(self.good, bitorder="little"))
            lines = lines.filter(pa.Array.from_buffers(pa.bool_(), self.lines, [None, mask]))
        joined = pc.binary_join_element_wise(_decimals(first, self.kept), lines, _SEPARATOR)
        used = joined.buffers()
        return used[2].slice(0, int(np.frombuffer(used[1], np.int32)[len(joined)]))

    def rejects(self) -> Iterator[tuple[int, str, bytes]]:
        """The other lines: 1-based number within the block, reason, bytes without the newline."""
        if self.good is None:
            return
        for index in np.flatnonzero(~self.good).tolist():
            line = self.content[self.ends[index - 1] + 1 if index else 0 : self.ends[index]]
            yield index + 1, reject_reason(line, self.fields), line


def _decimals(first: int, count: int) -> pa.Array:
    numbers = pa.py_buffer(np.arange(first, first + count, dtype=np.int64))
    return pa.Array.from_buffers(pa.int64(), count, [None, numbers]).cast(pa.string()).cast(pa.binary())


def reject_reason(line: bytes, fields: int) -> str:
    """Why a line with another number of fields is rejected; load and cleaning say it in the same words."""
    return f"expected {fields} fields, got {line.count(b',') + 1}" if line else "empty line"
