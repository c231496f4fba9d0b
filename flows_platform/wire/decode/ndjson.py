"""A JSON object a line to records. Nothing marks its end but the count: a header's, or a footer's."""

import io
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain

import pyarrow as pa

from flows_platform.domain.errors import SourceRefused, StreamIncomplete
from flows_platform.domain.schema import Column
from flows_platform.wire.decode.arrow_lines import BLOCK, ArrowLines, by_arrow
from flows_platform.wire.decode.envelope import ErrorDocument
from flows_platform.wire.decode.footers import Declared, declared
from flows_platform.wire.decode.json_guard import BLANK, MARK
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
        errors: ErrorDocument | None = None,
        proven: bool = False,
    ) -> None:
        self._source = source
        # Records nest, and Arrow's schema cannot say how; or it would read a value otherwise.
        told = errors is not None and any(column.name == errors.message.names[0] for column in columns)
        self._lines = None if whole or told or left_to_reference(columns) else ArrowLines(columns)
        self._errors = errors
        self._proven = proven or footer
        self._footer = footer
        self._record_bytes = record_bytes
        self.declared: Declared | None = None

    def slices(self) -> Iterator[Records | pa.RecordBatch]:
        """Batches of the lines of about 1 MiB each, or lists of those of 256 KiB.

        Raises:
            StreamIncomplete: the last line may be cut, or is not the footer that was asked for.
            SourceRefused: a line is too long, or tells an error as the API does.
        """
        blocks = self._without_footer(self._blocks()) if self._footer else self._blocks()
        if self._lines is None:
            yield from chain.from_iterable(map(self._line_by_line, blocks))
        else:
            yield from by_arrow(blocks, partial(_batch, self._lines), self._line_by_line)

    def _blocks(self) -> Iterator[bytes]:
        rest, mark = b"", MARK
        while chunk := self._source.read(BLOCK):
            whole, newline, tail = chunk.rpartition(b"\n")
            if newline:
                yield (rest + whole + newline).removeprefix(mark)
                rest, mark = tail, b""
            else:
                rest += chunk
            if len(rest) > self._record_bytes:
                raise SourceRefused(
                    f"a line of the NDJSON answer is longer than {self._record_bytes:,} bytes.",
                    remedy="Check the URL; where records are that large, raise the API's record_bytes.",
                )
        rest = rest.removeprefix(mark)
        if rest.strip(BLANK):
            # Where the transfer proves its own end a last line needs none (jsonlines.org), if it is a whole record.
            if not self._proven or isinstance(read_record(rest), Unreadable):
                raise StreamIncomplete(f"the NDJSON answer ends inside a line ({rest[:60]!r}…).")
            yield rest + b"\n"

    def _line_by_line(self, block: bytes) -> Iterator[Records]:
        """The reference parser, a slice after the other."""
        unread = io.BytesIO(block)
        while lines := unread.readlines(SLICE_BYTES):
            records: Records = [read_record(line.removesuffix(b"\n")) for line in lines if line.strip(BLANK)]
            if self._errors:
                self._refuse_errors(self._errors, records)
            yield records

    @staticmethod
    def _refuse_errors(errors: ErrorDocument, records: Records) -> None:
        for record in records:
            if not isinstance(record, Unreadable) and (error := errors.error(None, record)):
                raise error

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
