"""A document's records in order: a reader proves blocks ahead, and the document's parser reads all other bytes.

The reader takes only blocks that it can prove. The parser gets the head, the tail, and all blocks in between that are
not proven. `[{…},{…},{…}]` is valid JSON with and without `,{…},{…}`, and the same is true of XML's elements and of
lines, so the parser never misses the blocks that the reader took. Only the parser knows whether the bytes that it got
end between two records. So a proven block is taken only after another one, or if the parser says that it is between
records.
"""

import io
import re
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.json

from flows_platform.columns.batches import ARROW_TYPES
from flows_platform.columns.casting import Slice
from flows_platform.domain.schema import Column, ColumnType
from flows_platform.formats.protocol.metered_reader import SLICE_BYTES, ByteSource
from flows_platform.formats.templates.template import Template

# Bytes. With 256 KiB, calls take a third more time; with 4 MiB, memory outside the cache takes as much.
BLOCK = 1 << 20
LONGEST = 4 * BLOCK  # bytes without the end of a record that are held back
AHEAD = 3  # blocks that are read ahead
HEADS = 256  # ends of objects or elements that are tried as the end of the first record
TEMPLATES = 6  # templates that are tried
MISSES = 16  # unproven blocks in a row after which the parser reads all the rest

NEWLINE = b"\n"[0]
_BETWEEN = (b"}\n{", b"}\r\n{")  # between two objects on their own lines: a text cannot contain a line feed
# A block must begin with an object: Arrow crashes (SIGSEGV) if the first value is null, and ignores a byte order mark.
_OBJECT = re.compile(rb"[ \t\n\r]*\{")
# Arrow rounds numbers to doubles without a warning and has no type for arbitrary JSON values.
ARROW_READS = {ColumnType.INT64, ColumnType.STRING, ColumnType.TIMESTAMP, ColumnType.DATE, ColumnType.BOOL}
# Times and dates stay texts: Arrow would also accept times without a zone, and the year 0.
PARSED = {kind: ARROW_TYPES[kind] for kind in ARROW_READS} | dict.fromkeys(
    (ColumnType.TIMESTAMP, ColumnType.DATE), pa.string()
)


type Certain = Callable[[pa.RecordBatch], pa.RecordBatch | None]


class Parser(Protocol):
    """A document's own parser, which gets its bytes in order."""

    def feed(self, text: bytes, more: Callable[[], bytes]) -> Iterator[Slice]:
        """The records of some more bytes; `more` returns the bytes after them, b"" at the end."""

    def is_between_records(self) -> bool:
        """Whether the bytes so far end with a record, and another one may follow."""

    def flush(self) -> Iterator[Slice]:
        """The records that were not yielded yet."""

    def finish(self, text: bytes) -> Iterator[Slice]:
        """The records of the last bytes, after which the document must end."""


class Reader(Protocol):
    """Reads blocks of whole records."""

    def head(self, text: bytes, start: int) -> int:
        """Where the next record in `text` may end, from `start` on; 0 if the end cannot be seen."""

    def cut(self, text: bytes) -> int:
        """Where the last record that another one follows ends; 0 if there is none."""

    def task(self, block: bytes) -> Callable[[], "Proven | None"]:
        """A function that reads a block, for another thread."""

    def missed(self, block: bytes) -> None:
        """Learn from a block that was not proven."""

    def proved(self, found: "Proven") -> None:
        """Note that a block was proven and its records were taken."""


@dataclass(frozen=True, slots=True)
class Flat:
    """What may be read without the parser: flat records of these columns, of at most `longest` bytes.

    `certain` casts a batch of them; it returns None if a record cannot be cast.
    """

    columns: Sequence[Column]
    certain: Certain
    longest: int


@dataclass(frozen=True, slots=True)
class Proven:
    """A block's records, and the template that they follow, if they follow one.

    The batch is None if a record cannot be cast: then the parser must read the block.
    """

    batch: pa.RecordBatch | None
    template: Template | None = None


def _nothing() -> bytes:
    return b""


def parsed(source: ByteSource, parser: Parser) -> Iterator[Slice]:
    """The records of the document, all read by its parser."""
    while text := source.read(SLICE_BYTES):
        yield from parser.feed(text, partial(source.read, SLICE_BYTES))
    yield from parser.finish(b"")


def proven(source: ByteSource, parser: Parser, reader: Reader) -> Iterator[Slice]:
    """The records of the document in order: blocks that the reader proves ahead, and all others by the parser."""
    text = yield from _head(source, parser, reader)
    if text is None:
        yield from parsed(source, parser)
        return
    blocks = _Blocks(source, reader, text)
    try:
        yield from _in_order(blocks, parser, reader)
    finally:
        blocks.close()
    yield from parser.finish(blocks.rest)


def _head(source: ByteSource, parser: Parser, reader: Reader) -> Generator[Slice, None, bytes | None]:
    """Parse up to the end of the first record, or the head of the document; returns the bytes read after it.

    None if no end of a record was found, and the parser got all bytes.
    """
    looks = 0
    while text := source.read(BLOCK):
        start = 0
        while looks < HEADS and (end := reader.head(text, start)):
            yield from parser.feed(text[start:end], _nothing)
            if parser.is_between_records():
                return text[end:]
            start, looks = end, looks + 1
        yield from parser.feed(text[start:], partial(source.read, BLOCK))
        if looks >= HEADS:
            return None
    return b""


def _in_order(blocks: "_Blocks", parser: Parser, reader: Reader) -> Iterator[Slice]:
    between, misses = True, 0
    while (ahead := blocks.next()) is not None:
        found = ahead.result() if between else None
        misses = 0 if found else misses + 1
        if found and found.batch is not None:
            yield from parser.flush()
            yield found.batch
            reader.proved(found)
            continue
        yield from parser.feed(ahead.block, blocks.more)
        between = parser.is_between_records()
        if misses >= MISSES:
            blocks.read_no_more()
        elif misses:
            reader.missed(ahead.block)


@dataclass(slots=True)
class _Ahead:
    """A block, and the result of reading it."""

    block: bytes
    reading: Future[Proven | None] | None

    def result(self) -> Proven | None:
        return self.reading.result() if self.reading else None


@dataclass(slots=True)
class _Blocks:
    """The blocks of a document, read ahead; `rest` are the bytes after the last block."""

    source: ByteSource
    reader: Reader
    rest: bytes
    _ahead: deque[_Ahead] = field(default_factory=deque)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    _reading: bool = True
    _ended: bool = False
    _error: Exception | None = None  # an error of the source, raised where its bytes would have come

    def next(self) -> _Ahead | None:
        while len(self._ahead) <= AHEAD and not self._ended:
            self._take()
        if not self._ahead and self._error:
            raise self._error
        return self._ahead.popleft() if self._ahead else None

    def more(self) -> bytes:
        """The next block's bytes, for a parser that is inside a record; in the end, the bytes after the last block."""
        if ahead := self.next():
            return ahead.block
        rest, self.rest = self.rest, b""
        return rest

    def read_no_more(self) -> None:
        self._reading = False

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _take(self) -> None:
        try:
            text = self.source.read(BLOCK)
        except Exception as error:  # noqa: BLE001 - raised again, after the bytes before it
            self._ended, self._error = True, error
            if self.rest:  # an error in these bytes comes first
                self._hand_over(len(self.rest))
            return
        self._ended = not text
        self.rest += text
        if end := self.reader.cut(self.rest):
            self._hand_over(end)
        elif len(self.rest) > LONGEST:
            self._hand_over(len(self.rest))

    def _hand_over(self, size: int) -> None:
        block, self.rest = self.rest[:size], self.rest[size:]
        self._ahead.append(_Ahead(block, self._pool.submit(self.reader.task(block)) if self._reading else None))


class ArrowLines:
    """Reads JSON objects with Arrow; it must be able to read all of the columns."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._schema = pa.schema([(column.name, PARSED[column.type]) for column in columns])

    def read_whole(self, lines: bytes, longest: int) -> pa.RecordBatch | None:
        """One record per line; None if it is not certain that the reference would give the same.

        A line of more than `longest` bytes is never read.
        """
        ends = np.flatnonzero(np.frombuffer(lines, np.uint8) == NEWLINE)
        if not len(ends) or int(np.diff(ends, prepend=-1).max()) > longest + 1:
            return None
        batch = self.read(lines)
        if batch is None or batch.num_rows != len(ends):
            return None
        # The number of records equals that of lines, but two may be on one line and none on another.
        if not lines.endswith((b"}\n", b"}\r\n")) or sum(map(lines.count, _BETWEEN)) != batch.num_rows - 1:
            return None
        return None if any(column.null_count for column in batch.columns) else batch

    def read(self, lines: bytes) -> pa.RecordBatch | None:
        """The objects as rows, with NULL for missing fields; None if one has another field or a value of another type.

        The objects need no white space between them. None also if all columns have a NULL, since Arrow makes a row of
        NULLs from a record that is `null`.
        """
        # guard: Arrow gets only objects: null crashes it
        if not _OBJECT.match(lines):
            return None
        options = pyarrow.json.ParseOptions(explicit_schema=self._schema, unexpected_field_behavior="error")
        whole = pyarrow.json.ReadOptions(use_threads=False, block_size=len(lines) + 1)
        try:
            batches = pyarrow.json.read_json(io.BytesIO(lines), whole, options).combine_chunks().to_batches()
            for batch in batches:
                # guard: bytes that are not UTF-8, read by Arrow
                batch.validate(full=True)  # the reader accepts bytes that are not UTF-8
        except pa.ArrowException:
            return None
        # guard: Arrow makes a row of NULLs of null
        return batches[0] if len(batches) == 1 and not all(column.null_count for column in batches[0].columns) else None


def left_to_reference(columns: Iterable[Column]) -> list[Column]:
    """The columns that Arrow would read differently."""
    return [column for column in columns if column.type not in ARROW_READS]


class TemplateReader:
    """Reads blocks of records that follow one of several templates, which `learn` finds in a text.

    Records end with `ending`. The separator is between two records; with `by_line` it is after every record. With
    `keeps_last`, the last line is never in a block. `lines` reads blocks that follow no template.
    """

    def __init__(
        self,
        learn: Callable[[bytes], list[Template]],
        flat: Flat,
        ending: bytes,
        *,
        lines: ArrowLines | None = None,
        by_line: bool = False,
        keeps_last: bool = False,
    ) -> None:
        self._learn, self._flat, self._ending, self._lines = learn, flat, ending, lines
        self._by_line, self._keeps_last = by_line, keeps_last
        self._templates: tuple[Template, ...] = ()
        self.values = 0  # the number of values in proven blocks

    def head(self, text: bytes, start: int) -> int:
        found = text.find(self._ending, start)
        return found + len(self._ending) if found >= 0 else 0

    def cut(self, text: bytes) -> int:
        if self._by_line:
            end = text.rfind(b"\n") + 1
            return text.rfind(b"\n", 0, max(0, end - 1)) + 1 if self._keeps_last else end
        if not self._templates:
            self._templates = tuple(self._learn(text))
        if self._templates:
            return self._templates[0].cut(text)
        return text.rfind(self._ending) + len(self._ending) if self._ending in text else 0

    def task(self, block: bytes) -> Callable[[], Proven | None]:
        if self._by_line and not self._templates:
            self._templates = tuple(self._learn(block))
        templates = self._templates
        return lambda: self._read(block, templates)

    def missed(self, block: bytes) -> None:
        found = self._learn(block)
        self._templates = (*found, *(known for known in self._templates if known not in found))[:TEMPLATES]

    def proved(self, found: Proven) -> None:
        template = found.template
        self.values += found.batch.num_rows * found.batch.num_columns if found.batch else 0
        if template and template is not self._templates[0]:
            self._templates = (template, *(known for known in self._templates if known is not template))

    def _read(self, block: bytes, templates: tuple[Template, ...]) -> Proven | None:
        for template in templates:
            separator = template.separator
            if self._by_line:
                text = block.removesuffix(separator)
                separated = len(text) < len(block)
            else:
                text = block.removeprefix(separator)
                separated = not separator or len(text) < len(block)
            if separated and (batch := template.read(text, self._flat.longest)) is not None:
                return Proven(self._flat.certain(batch), template)
        batch = self._lines.read_whole(block, self._flat.longest) if self._lines else None
        return None if batch is None else Proven(self._flat.certain(batch))
