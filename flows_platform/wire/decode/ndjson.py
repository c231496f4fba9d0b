"""A JSON object a line to records. Nothing marks its end but the count: a header's, or a footer's."""

import io
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pyarrow as pa
import pyarrow.json

from flows_platform.domain.errors import SourceRefused, StreamIncomplete
from flows_platform.domain.schema import ColumnType, TableSchema
from flows_platform.wire.arrow_schema import ARROW_TYPES
from flows_platform.wire.decode.footers import Declared, declared
from flows_platform.wire.decode.source import RECORD_BYTES, ByteSource
from flows_platform.wire.formats import COUNT, DIGEST, END
from flows_platform.wire.raw_records import Records, Unreadable, read_record

BLOCK = 1 << 18
THREADS = 2  # that parse: the socket, casting and writing take a fifth of the time that parsing does
AHEAD = 3  # blocks that are parsed while one is cast and written
# The types that Arrow reads as the reference does. Times are left as texts: its own reading of them also takes what has
# no zone. It rounds numbers to doubles without a word, and has no type for any JSON value.
PARSED = {
    ColumnType.INT64: ARROW_TYPES[ColumnType.INT64],
    ColumnType.STRING: ARROW_TYPES[ColumnType.STRING],
    ColumnType.TIMESTAMP: pa.string(),
    ColumnType.BOOL: ARROW_TYPES[ColumnType.BOOL],
}


class NdjsonDocument:
    """Lines of JSON objects; a block of whole lines is parsed by Arrow, and line by line where Arrow objects."""

    enclosed = False

    def __init__(
        self,
        source: ByteSource,
        schema: TableSchema,
        *,
        footer: bool = False,
        record_bytes: int = RECORD_BYTES,
        whole: bool = False,
    ) -> None:
        self._source = source
        # Records nest, and Arrow's schema cannot say how; or it would read a value otherwise.
        self._whole = whole or not {column.type for column in schema.columns} <= PARSED.keys()
        self._footer = footer
        self._record_bytes = record_bytes
        self._expected = pa.schema([(column.name, PARSED.get(column.type, pa.null())) for column in schema.columns])
        self.declared: Declared | None = None

    def slices(self) -> Iterator[Records | pa.RecordBatch]:
        """Batches of the lines of about 256 KiB each.

        Raises:
            StreamIncomplete: the last line has no end, or is not the footer that was asked for.
            SourceRefused: a line is too long.
        """
        blocks = self._without_footer(self._blocks()) if self._footer else self._blocks()
        yield from map(_line_by_line, blocks) if self._whole else _ahead(self._parsed, blocks)

    def _blocks(self) -> Iterator[bytes]:
        rest = b""
        while chunk := self._source.read(BLOCK):
            whole, newline, tail = chunk.rpartition(b"\n")
            if newline:
                yield rest + whole + newline
                rest = tail
            else:
                rest += chunk
            if len(rest) > self._record_bytes:
                raise SourceRefused(
                    f"a line of the NDJSON answer is longer than {self._record_bytes:,} bytes.",
                    remedy="Check the URL; where records are that large, raise the API's record_bytes.",
                )
        if rest:
            raise StreamIncomplete(f"the NDJSON answer ends inside a line ({rest[:60]!r}…).")

    def _without_footer(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """The blocks, the last line held back: it is the footer."""
        last = b""
        for block in blocks:
            before, newline, line = (last + block[:-1]).rpartition(b"\n")
            if newline:
                yield before + newline
            last = line + b"\n"
        self.declared = _declared(last)

    def _parsed(self, block: bytes) -> Records | pa.RecordBatch:
        options = pyarrow.json.ParseOptions(explicit_schema=self._expected, unexpected_field_behavior="error")
        try:
            table = pyarrow.json.read_json(
                io.BytesIO(block), pyarrow.json.ReadOptions(use_threads=False, block_size=len(block) + 1), options
            )
            batches = table.combine_chunks().to_batches()
            for batch in batches:
                batch.validate(full=True)  # it takes bytes that are not UTF-8
        except pa.ArrowException:
            return _line_by_line(block)
        lines = block.count(b"\n")
        proven = table.num_rows == lines and table.column_names == self._expected.names
        return batches[0] if proven and len(batches) == 1 and not _nulls(table) else _line_by_line(block)


def _ahead[T, R](make: Callable[[T], R], items: Iterator[T]) -> Iterator[R]:
    """What becomes of each, in order; some are made ahead in other threads, which Arrow lets run beside this one."""
    with ThreadPoolExecutor(THREADS) as workers:
        made: deque[Future[R]] = deque()
        for item in items:
            made.append(workers.submit(make, item))
            if len(made) > AHEAD:
                yield made.popleft().result()
        while made:
            yield made.popleft().result()


def _declared(line: bytes) -> Declared:
    record = read_record(line)
    members = record.get(END) if not isinstance(record, Unreadable) and record.keys() == {END} else None
    footer = declared(members.get(COUNT), members.get(DIGEST)) if isinstance(members, dict) else None
    if footer is None:
        raise StreamIncomplete("the NDJSON answer ends without the footer that was asked for.")
    return footer


def _nulls(table: pa.Table) -> bool:
    return any(column.null_count for column in table.columns)


def _line_by_line(block: bytes) -> Records:
    """The reference parser."""
    return [read_record(line) for line in block.split(b"\n") if line.strip()]
