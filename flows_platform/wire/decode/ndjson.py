"""A JSON object a line to records. Nothing marks its end but the count: a header's, or a footer's."""

import io
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain

import pyarrow as pa

from flows_platform.domain.errors import SourceRefused, StreamIncomplete
from flows_platform.domain.schema import Column
from flows_platform.wire.decode.arrow_lines import BLOCK, ArrowLines, by_arrow
from flows_platform.wire.decode.footers import Declared, declared
from flows_platform.wire.decode.record_line import read_record
from flows_platform.wire.decode.source import RECORD_BYTES, SLICE_BYTES, ByteSource
from flows_platform.wire.formats import COUNT, DIGEST, END
from flows_platform.wire.parser import left_to_reference
from flows_platform.wire.raw_records import Records, Unreadable


class NdjsonDocument:
    """Lines of JSON objects; a block of whole lines is parsed by Arrow, and line by line where Arrow objects."""

    enclosed = False

    def __init__(
        self,
        source: ByteSource,
        columns: Sequence[Column],
        *,
        footer: bool = False,
        record_bytes: int = RECORD_BYTES,
        whole: bool = False,
    ) -> None:
        self._source = source
        # Records nest, and Arrow's schema cannot say how; or it would read a value otherwise.
        self._lines = None if whole or left_to_reference(columns) else ArrowLines(columns)
        self._footer = footer
        self._record_bytes = record_bytes
        self.declared: Declared | None = None

    def slices(self) -> Iterator[Records | pa.RecordBatch]:
        """Batches of the lines of about 1 MiB each, or lists of those of 256 KiB.

        Raises:
            StreamIncomplete: the last line has no end, or is not the footer that was asked for.
            SourceRefused: a line is too long.
        """
        blocks = self._without_footer(self._blocks()) if self._footer else self._blocks()
        if self._lines is None:
            yield from chain.from_iterable(map(_line_by_line, blocks))
        else:
            yield from by_arrow(blocks, partial(_batch, self._lines), _line_by_line)

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


def _batch(lines: ArrowLines, block: bytes) -> pa.RecordBatch | None:
    """The block's records, where it is certain that the reference would give the same."""
    batch = lines.read(block)
    certain = batch is not None and batch.num_rows == block.count(b"\n") and not _nulls(batch)
    return batch if certain else None


def _declared(line: bytes) -> Declared:
    record = read_record(line)
    members = record.get(END) if not isinstance(record, Unreadable) and record.keys() == {END} else None
    footer = declared(members.get(COUNT), members.get(DIGEST)) if isinstance(members, dict) else None
    if footer is None:
        raise StreamIncomplete("the NDJSON answer ends without the footer that was asked for.")
    return footer


def _nulls(batch: pa.RecordBatch) -> bool:
    return any(column.null_count for column in batch.columns)


def _line_by_line(block: bytes) -> Iterator[Records]:
    """The reference parser, a slice after the other."""
    unread = io.BytesIO(block)
    while lines := unread.readlines(SLICE_BYTES):
        yield [read_record(line.removesuffix(b"\n")) for line in lines if line.strip()]
