"""Reads blocks of CSV lines with Arrow, if Python's csv module would certainly give the same."""

import csv
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from flows_platform.formats.protocol.characters import BYTE_ORDER_MARK
from flows_platform.formats.templates.blocks import Flat, Proven
from flows_platform.formats.templates.template import Value, typed

NEWLINE, RETURN = b"\n"[0], b"\r"[0]
FORBIDDEN = (b'"', b"\0")


class CsvReader:
    """Reads blocks of lines with one field per column, in the order of `header`.

    An empty field is NULL in the columns in `blank`. With `keeps_last`, the last line is never in a block. `lines`
    counts the lines that were read.
    """

    def __init__(self, flat: Flat, blank: frozenset[str], *, keeps_last: bool) -> None:
        self._flat = flat
        self._columns = {column.name: column for column in flat.columns}
        self._blank = blank
        self._keeps_last = keeps_last
        self.header: tuple[str, ...] = ()
        self.lines = 0

    def head(self, text: bytes, start: int) -> int:
        """The header's end; 0 if it cannot be seen, because the line has quotes or is empty."""
        end = text.find(b"\n") + 1
        return end if not start and not self.header and b'"' not in text[:end] and text[:end].strip() else 0

    def cut(self, text: bytes) -> int:
        end = text.rfind(b"\n") + 1
        return text.rfind(b"\n", 0, max(0, end - 1)) + 1 if self._keeps_last else end

    def task(self, block: bytes) -> Callable[[], Proven | None]:
        return lambda: self._read(block)

    def missed(self, block: bytes) -> None:
        """Do nothing: there is nothing to learn."""

    def proved(self, found: Proven) -> None:
        self.lines += found.batch.num_rows if found.batch else 0

    def _read(self, block: bytes) -> Proven | None:
        if set(self.header) != self._columns.keys() or not _is_plain(block):
            return None
        try:
            table = pyarrow.csv.read_csv(
                pa.py_buffer(block),
                pyarrow.csv.ReadOptions(column_names=list(self.header), use_threads=False, block_size=len(block) + 1),
                pyarrow.csv.ParseOptions(quote_char=False, double_quote=False, ignore_empty_lines=False),
                pyarrow.csv.ConvertOptions(
                    column_types=dict.fromkeys(self.header, pa.string()),
                    null_values=[],
                    strings_can_be_null=False,
                    check_utf8=True,
                ),
            )
        except pa.ArrowException:
            return None
        if table.num_rows != np.count_nonzero(np.frombuffer(block, np.uint8) == NEWLINE):
            return None
        arrays = [self._typed(name, table.column(name).combine_chunks()) for name in self.header]
        return Proven(self._flat.certain(pa.RecordBatch.from_arrays(arrays, names=list(self.header))))

    def _typed(self, name: str, texts: pa.Array) -> pa.Array:
        offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
        sizes = np.diff(offsets)
        if name in self._blank and not sizes.all():
            return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
        letters = np.frombuffer(texts.buffers()[2], np.uint8)
        first = letters[np.minimum(offsets[:-1], len(letters) - 1)] if len(letters) else np.zeros(len(sizes), np.uint8)
        found = typed(Value(self._columns[name]), texts, first, sizes)
        return texts if found is None else found


def _is_plain(block: bytes) -> bool:
    """Whether Python too would read every line as a record: no quotes, no empty line, one kind of line end."""
    if any(octet in block for octet in FORBIDDEN) or block.startswith((BYTE_ORDER_MARK, b"\n", b"\r\n")):
        return False
    octets = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(octets == NEWLINE)
    if not len(ends) or ends[-1] != len(octets) - 1:
        return False
    returns = np.count_nonzero(octets == RETURN)
    if returns and (returns != len(ends) or not (octets[ends - 1] == RETURN).all()):
        return False
    return _have_fields(ends, bool(returns))


def _have_fields(ends: npt.NDArray[np.int64], returns: bool) -> bool:  # noqa: FBT001 - one more byte per line
    sizes = np.diff(ends, prepend=-1) - 1 - returns
    return bool(sizes.min() > 0 and sizes.max() <= csv.field_size_limit())
