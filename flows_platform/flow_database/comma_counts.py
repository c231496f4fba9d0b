"""One block of comma-separated lines: which of them have the right number of fields. Never looks into a field.

Numpy finds and counts newlines and commas, and numbers a run of lines at once. A line becomes a Python object only if
it is rejected. Arrow joins lines no faster, and importing it costs .15 s.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

type Positions = npt.NDArray[np.intp]

BYTE_ORDER_MARK = "\ufeff".encode()
HEADER_REASON = "header line: names of columns, not values"

COMMA = ord(",")
NEWLINE = ord("\n")
_HEADER_FIELDS = 5  # a line with fewer may be any text
_IN_WORD = 6  # low bits of a position: its bit within a word
_WORD_BITS = 1 << _IN_WORD
# Numbers are written in runs that share all but their last four digits, which come from a table.
_LOW_DIGITS = 4
_RUN = 10**_LOW_DIGITS
_LAST_DIGITS = (np.arange(_RUN)[:, None] // (1000, 100, 10, 1) % 10 + ord("0")).astype(np.uint8)


class LineBlock:
    """Whole lines, `good` where they have `fields` fields. A missing last newline is added."""

    def __init__(self, content: bytes, *, fields: int) -> None:
        self.content = content if content.endswith(b"\n") else content + b"\n"
        self.fields = fields
        self._codes = np.frombuffer(self.content, np.uint8)
        found = self._codes == NEWLINE
        self.ends: Positions = np.flatnonzero(found)
        self.good = self._count(np.equal(self._codes, COMMA, out=found)) == fields - 1
        self.lines = len(self.ends)
        self.kept = int(np.count_nonzero(self.good))

    def _count(self, commas: npt.NDArray[np.bool]) -> npt.NDArray[np.int32]:
        """The number of commas of every line, from one bit per byte: a third of the time that positions take."""
        bits = np.packbits(commas, bitorder="little")
        words = np.zeros(len(self._codes) // _WORD_BITS + 1, "<u8")
        words.view(np.uint8)[: len(bits)] = bits
        up_to_word = np.cumsum(np.bitwise_count(words), dtype=np.int32)
        word: Positions = self.ends >> _IN_WORD  # this and the next line take a quarter of the time of divmod
        bit: Positions = self.ends & (_WORD_BITS - 1)
        behind = np.bitwise_count(words[word] >> bit.astype(np.uint64))  # of the same word, but of later lines
        return np.diff(up_to_word[word] - behind, prepend=0)

    def numbered(self, first: int) -> Iterator[memoryview]:
        """The good lines in pieces, every line as number, comma, line and newline; numbers start at `first`."""
        content, ends = memoryview(self.content), self.ends
        if self.kept < self.lines:
            sizes = np.diff(ends, prepend=-1)
            content = memoryview(self._codes[np.repeat(self.good, sizes)])
            ends = np.cumsum(sizes[self.good]) - 1
        begin = done = 0
        for number, count in _runs(first, self.kept):
            end = int(ends[done + count - 1]) + 1
            yield _with_numbers(content[begin:end], ends[done : done + count] - begin, number)
            begin, done = end, done + count

    def rejects(self) -> Iterator[tuple[int, str, bytes]]:
        """The other lines: 1-based number within the block, reason, bytes without the newline."""
        for index in np.flatnonzero(~self.good).tolist():
            line = self.content[self.ends[index - 1] + 1 if index else 0 : self.ends[index]]
            yield index + 1, reject_reason(line, self.fields), line


def _runs(first: int, count: int) -> Iterator[tuple[int, int]]:
    """First number and size of every run of numbers that have one width and differ in their last digits only."""
    while count:
        size = min(count, _RUN - first % _RUN, 10 ** len(str(first)) - first)
        yield first, size
        first, count = first + size, count - size


def _with_numbers(content: memoryview, ends: Positions, number: int) -> memoryview:
    """Put the first number after every newline, then correct its last digits line by line."""
    prefix = b"%d," % number
    low = min(_LOW_DIGITS, len(prefix) - 1)
    spread = bytearray().join((b"\n", content)).replace(b"\n", b"\n" + prefix)
    positions = np.arange(len(prefix) - low, len(prefix) * len(ends), len(prefix))
    positions[1:] += ends[:-1] + 1
    digits = f"V{low}"  # opaque items of `low` bytes, which may start anywhere
    items = np.ndarray(len(spread) - low + 1, digits, spread, strides=1)
    last = _LAST_DIGITS[number % _RUN :][: len(ends), -low:]
    items[positions] = np.ascontiguousarray(last).view(digits)[:, 0]
    return memoryview(spread)[1 : -len(prefix)]


def reject_reason(line: bytes, fields: int) -> str:
    """Why a line with another number of fields is rejected, in the same words for load and cleaning."""
    return f"expected {fields} fields, got {line.count(b',') + 1}" if line else "empty line"


def is_header(line: bytes) -> bool:
    """Whether a line names columns: it has five fields or more, and all begin with a letter, quoted or not.

    A row of the data never does: its first value is a number.
    """
    fields = line.split(b",")
    return len(fields) >= _HEADER_FIELDS and all(field.lstrip(b" \t\"'")[:1].isalpha() for field in fields)
