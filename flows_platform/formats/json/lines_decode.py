"""A JSON object a line to records. Nothing marks its end but the count: a header's, or a footer's."""

import io
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from flows_platform.columns.raw_records import Records, Unreadable
from flows_platform.domain.errors import SourceRefused, StreamIncomplete
from flows_platform.domain.schema import Column
from flows_platform.formats.json.record_line import read_record
from flows_platform.formats.protocol.characters import BYTE_ORDER_MARK, WHITE_SPACE
from flows_platform.formats.protocol.envelope import DeclaredTotal, ErrorDocument, declared
from flows_platform.formats.protocol.metered_reader import RECORD_BYTES, SLICE_BYTES, ByteSource
from flows_platform.formats.protocol.names import COUNT, DIGEST, END
from flows_platform.formats.templates.blocks import ArrowLines, Flat, TemplateReader, left_to_reference, parsed, proven
from flows_platform.formats.templates.template import json_templates


class NdjsonDocument:
    """Lines of JSON objects. With `template` blocks of whole lines are read by templates or Arrow where these are sure.

    All others are read line by line.
    """

    enclosed = False

    def __init__(
        self,
        source: ByteSource,
        columns: Sequence[Column],
        *,
        footer: bool = False,
        record_bytes: int = RECORD_BYTES,
        template: Flat | None = None,
        errors: ErrorDocument | None = None,
        proven: bool = False,
    ) -> None:
        self._source = source
        # An error is looked for in each record that may tell one.
        told = errors is not None and any(column.name == errors.message.names[0] for column in columns)
        self._reader = None if told or not template else _reader(template, keeps_last=footer)
        self._errors = errors
        self._rest, self._last, self._mark = b"", b"", BYTE_ORDER_MARK
        self._proven = proven or footer
        self._footer = footer
        self._record_bytes = record_bytes
        self.declared: DeclaredTotal | None = None

    def slices(self) -> Iterator[Records | pa.RecordBatch]:
        """Batches of the lines of about 1 MiB each, or lists of those of 256 KiB.

        Raises:
            StreamIncomplete: the last line may be cut, or is not the footer that was asked for.
            SourceRefused: a line is too long, or tells an error as the API does.
        """
        if self._reader is None:
            yield from parsed(self._source, self)
        else:
            yield from proven(self._source, self, self._reader)

    def feed(self, text: bytes, more: Callable[[], bytes]) -> Iterator[Records]:  # noqa: ARG002 - for CSV
        for start in range(0, len(text), SLICE_BYTES):
            yield from self._piece(text[start : start + SLICE_BYTES])

    def _piece(self, text: bytes) -> Iterator[Records]:
        whole, newline, tail = text.rpartition(b"\n")
        if newline:
            lines, self._rest = (self._rest + whole + newline).removeprefix(self._mark), tail
            self._mark = b""
            yield from self._line_by_line(self._without_last(lines) if self._footer else lines)
        else:
            self._rest += text
        if len(self._rest) > self._record_bytes:
            raise SourceRefused(
                f"a line of the NDJSON answer is longer than {self._record_bytes:,} bytes.",
                remedy="Check the URL; where records are that large, raise the API's record_bytes.",
            )

    def is_between_records(self) -> bool:
        return not self._rest

    def flush(self) -> Iterator[Records]:
        last, self._last = self._last, b""
        if last:
            yield from self._line_by_line(last)

    def finish(self, text: bytes) -> Iterator[Records]:
        yield from self.feed(text, bytes)
        rest = self._rest.removeprefix(self._mark)
        if rest.strip(WHITE_SPACE):
            # Where the transfer proves its own end a last line needs none (jsonlines.org), if it is a whole record.
            if not self._proven or isinstance(read_record(rest), Unreadable):
                raise StreamIncomplete(f"the NDJSON answer ends inside a line ({rest[:60]!r}…).")
            yield from self.feed(b"\n", bytes)
        if self._footer:
            self.declared = _declared(self._last)

    def _line_by_line(self, block: bytes) -> Iterator[Records]:
        """The reference parser, a slice after the other."""
        unread = io.BytesIO(block)
        while lines := unread.readlines(SLICE_BYTES):
            records: Records = [read_record(line.removesuffix(b"\n")) for line in lines if line.strip(WHITE_SPACE)]
            if self._errors:
                self._refuse_errors(self._errors, records)
            yield records

    @staticmethod
    def _refuse_errors(errors: ErrorDocument, records: Records) -> None:
        for record in records:
            if not isinstance(record, Unreadable) and (error := errors.error(None, record)):
                raise error

    def _without_last(self, lines: bytes) -> bytes:
        """The lines, the last one held back: it may be the footer."""
        before, newline, line = (self._last + lines[:-1]).rpartition(b"\n")
        self._last = line + b"\n"
        return before + newline


def _reader(flat: Flat, *, keeps_last: bool) -> TemplateReader:
    """Arrow has no schema for a value of any type, and rounds numbers."""
    return TemplateReader(
        lambda text: json_templates(text, flat.columns, comma=""),
        flat,
        b"\n",
        lines=None if left_to_reference(flat.columns) else ArrowLines(flat.columns),
        by_line=True,
        keeps_last=keeps_last,
    )


def _declared(line: bytes) -> DeclaredTotal:
    record = read_record(line)
    members = record.get(END) if not isinstance(record, Unreadable) and record.keys() == {END} else None
    footer = declared(members.get(COUNT), members.get(DIGEST)) if isinstance(members, dict) else None
    if footer is None:
        raise StreamIncomplete("the NDJSON answer ends without the footer that was asked for.")
    return footer
