"""A document's records in order: in blocks that a reader proves ahead, and by the document's parser all the rest.

The reader takes nothing that it does not prove, so the parser gets the head, the tail, and each block in between that
is not proven. `[{…},{…},{…}]` without `,{…},{…}` is as much JSON as with it, and so it is with XML's elements and with
lines: the parser never misses what was read beside it. Where a block ends between two records only the parser can say,
of what it got; so a block is taken as proven only behind one that was, or behind which the parser says so.
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

# Bytes. With 256 KiB a third more is spent on calls, with 4 MiB as much on memory that no cache holds.
BLOCK = 1 << 20
LONGEST = 4 * BLOCK  # of what has no end of a record that can be seen
AHEAD = 3  # blocks
HEADS = 256  # ends of objects, or elements, at which the first record is looked for
TEMPLATES = 6  # that are tried
MISSES = 16  # blocks in a row after which the parser gets all the rest

NEWLINE = b"\n"[0]
# Arrow dies (SIGSEGV) of a block whose first value is null, and passes over a byte order mark before it.
_BETWEEN = (b"}\n{", b"}\r\n{")  # objects, each on a line: no text holds a newline
_OBJECT = re.compile(rb"[ \t\n\r]*\{")
# Arrow rounds numbers to doubles without a warning and has no type for arbitrary JSON values.
ARROW_READS = {ColumnType.INT64, ColumnType.STRING, ColumnType.TIMESTAMP, ColumnType.BOOL}
# Times are left as texts: Arrow's own reading of them also takes what has no zone.
PARSED = {each: ARROW_TYPES[each] for each in ARROW_READS} | {ColumnType.TIMESTAMP: pa.string()}


type Certain = Callable[[pa.RecordBatch], pa.RecordBatch | None]


class Parser(Protocol):
    """A document's own parser, which gets its bytes in order."""

    def feed(self, text: bytes, more: Callable[[], bytes]) -> Iterator[Slice]:
        """The records of some more bytes; `more` gives the bytes that follow, b"" at the end."""

    def is_between_records(self) -> bool:
        """Whether what it got ends with a record, and another one may follow."""

    def flush(self) -> Iterator[Slice]:
        """The records so far that were not given yet."""

    def finish(self, text: bytes) -> Iterator[Slice]:
        """Those of the last bytes, where the document must end."""


class Reader(Protocol):
    """Reads blocks of whole records."""

    def head(self, text: bytes, start: int) -> int:
        """Where the next record in `text` may end, looked for from `start` on; 0 if it cannot be seen."""

    def cut(self, text: bytes) -> int:
        """Where the last record ends that another one follows; 0 where there is none."""

    def task(self, block: bytes) -> Callable[[], "Proven | None"]:
        """What reads a block, in another thread."""

    def missed(self, block: bytes) -> None:
        """Learn from a block that was not proven."""

    def proved(self, found: "Proven") -> None:
        """A block was proven, and what was found is taken."""


@dataclass(frozen=True, slots=True)
class Flat:
    """What flat records may be read as, beside a parser: these columns, of at most `longest` bytes a record.

    `certain` gives a batch of them cast, or None where a record of it cannot be.
    """

    columns: Sequence[Column]
    certain: Certain
    longest: int


@dataclass(frozen=True, slots=True)
class Proven:
    """A block's records, and the template that they follow if they do.

    Without a batch some record cannot be cast: then the parser says what was sent.
    """

    batch: pa.RecordBatch | None
    template: Template | None = None


def _nothing() -> bytes:
    return b""


def parsed(source: ByteSource, parser: Parser) -> Iterator[Slice]:
    """All of the document by its parser."""
    while text := source.read(SLICE_BYTES):
        yield from parser.feed(text, partial(source.read, SLICE_BYTES))
    yield from parser.finish(b"")


def proven(source: ByteSource, parser: Parser, reader: Reader) -> Iterator[Slice]:
    """What the reader proves as it gives it, ahead of its use, the rest by the parser; in order."""
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
    """What follows the first record, or the head of the document; None where all that was read was parsed."""
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
    """A block, and what its reading makes of it."""

    block: bytes
    reading: Future[Proven | None] | None

    def result(self) -> Proven | None:
        return self.reading.result() if self.reading else None


@dataclass(slots=True)
class _Blocks:
    """The blocks of a document, each read ahead of its use; `rest` is what follows the last one."""

    source: ByteSource
    reader: Reader
    rest: bytes
    _ahead: deque[_Ahead] = field(default_factory=deque)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    _reading: bool = True
    _ended: bool = False
    _error: Exception | None = None  # of the source, told where its bytes would have come

    def next(self) -> _Ahead | None:
        while len(self._ahead) <= AHEAD and not self._ended:
            self._take()
        if not self._ahead and self._error:
            raise self._error
        return self._ahead.popleft() if self._ahead else None

    def more(self) -> bytes:
        """The next block as it is, for a parser that is within a record; at last what follows all of them."""
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
        except Exception as error:  # noqa: BLE001 - raised again, behind what came before it
            self._ended, self._error = True, error
            if self.rest:  # what is wrong with it comes first
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
    """Reads objects of these columns, all of which it can read."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._schema = pa.schema([(column.name, PARSED[column.type]) for column in columns])

    def read_whole(self, lines: bytes, longest: int) -> pa.RecordBatch | None:
        """A record of each line, where it is certain that the reference would give the same.

        No line is read that has more than `longest` bytes.
        """
        ends = np.flatnonzero(np.frombuffer(lines, np.uint8) == NEWLINE)
        if not len(ends) or int(np.diff(ends, prepend=-1).max()) > longest + 1:
            return None
        batch = self.read(lines)
        if batch is None or batch.num_rows != len(ends):
            return None
        # As many records as lines, but two on one and none on another are not what they seem.
        if not lines.endswith((b"}\n", b"}\r\n")) or sum(map(lines.count, _BETWEEN)) != batch.num_rows - 1:
            return None
        return None if any(column.null_count for column in batch.columns) else batch

    def read(self, lines: bytes) -> pa.RecordBatch | None:
        """All of them, NULL where a field is missing; None where one has another field, or a value of another type.

        White space alone need not part them. None also where each column has a NULL: of a record that is `null` Arrow
        makes a row of nothing else.
        """
        # guard: Arrow sees objects alone: it dies of null
        if not _OBJECT.match(lines):
            return None
        options = pyarrow.json.ParseOptions(explicit_schema=self._schema, unexpected_field_behavior="error")
        whole = pyarrow.json.ReadOptions(use_threads=False, block_size=len(lines) + 1)
        try:
            batches = pyarrow.json.read_json(io.BytesIO(lines), whole, options).combine_chunks().to_batches()
            for batch in batches:
                # guard: bytes that are not UTF-8, read by Arrow
                batch.validate(full=True)  # it takes bytes that are not UTF-8
        except pa.ArrowException:
            return None
        # guard: Arrow makes a row of NULLs of null
        return batches[0] if len(batches) == 1 and not all(each.null_count for each in batches[0].columns) else None


def left_to_reference(columns: Iterable[Column]) -> list[Column]:
    """The columns that Arrow would read differently."""
    return [column for column in columns if column.type not in ARROW_READS]


class TemplateReader:
    """Blocks of records that follow one of some templates, which `learn` finds in a text.

    Records end with `ending`, and between two stands the separator; `by_line` it stands behind each. With `keeps_last`
    the last line is in no block. What follows no template is tried by `lines`.
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
        self.values = 0  # in blocks that were proven

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
        self._templates = (*found, *(each for each in self._templates if each not in found))[:TEMPLATES]

    def proved(self, found: Proven) -> None:
        template = found.template
        self.values += found.batch.num_rows * found.batch.num_columns if found.batch else 0
        if template and template is not self._templates[0]:
            self._templates = (template, *(each for each in self._templates if each is not template))

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
