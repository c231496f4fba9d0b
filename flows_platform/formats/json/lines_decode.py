"""Reads records from NDJSON, one JSON object per line. Only a count in a header or footer marks the end."""

import io
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import pyarrow as pa

from flows_platform.columns.raw_records import Records, Unreadable
from flows_platform.domain.errors import SourceRefused, StreamIncomplete
from flows_platform.domain.schema import Column
from flows_platform.formats.json.arrays import NamedArrays
from flows_platform.formats.json.record_line import read_record, read_value
from flows_platform.formats.protocol.characters import BYTE_ORDER_MARK, WHITE_SPACE
from flows_platform.formats.protocol.envelope import DeclaredTotal, ErrorDocument, declared
from flows_platform.formats.protocol.metered_reader import RECORD_BYTES, SLICE_BYTES, ByteSource
from flows_platform.formats.protocol.names import COUNT, DIGEST, END
from flows_platform.formats.templates.blocks import ArrowLines, Flat, TemplateReader, left_to_reference, parsed, proven
from flows_platform.formats.templates.template import json_templates


class NdjsonDocument:
    """Lines of JSON objects.

    With `arrays`, lines of arrays, or of objects with arrays. With `template`, templates or Arrow read blocks of whole
    lines, where they are proven to be right. All other lines are read one by one.
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
        arrays: NamedArrays | None = None,
        errors: ErrorDocument | None = None,
        proven: bool = False,
    ) -> None:
        self._source = source
        # If a column has the name of the error's message, any record may be an error: only the reference checks them.
        any_record = errors is not None and any(column.name == errors.message.names[0] for column in columns)
        self._reader = None if any_record or arrays or not template else _reader(template, keeps_last=footer)
        self._arrays = arrays
        self._read: Callable[[bytes], object] = read_value if arrays else read_record
        self._errors = errors
        self._rest, self._last, self._mark = b"", b"", BYTE_ORDER_MARK
        self._proven = proven or footer
        self._footer = footer
        self._record_bytes = record_bytes
        self.declared: DeclaredTotal | None = None

    def slices(self) -> Iterator[Records | pa.RecordBatch]:
        """Batches from about 1 MiB of lines, or lists of records from 256 KiB.

        Raises:
            StreamIncomplete: the last line may be cut, or is not the requested footer.
            SourceRefused: a line is too long, or is one of the API's error documents.
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
                remedy="Check the URL; if records are that large, raise the API's record_bytes.",
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
            # If the transfer proves its own end, a complete last record needs no line end (jsonlines.org).
            if not self._proven or isinstance(self._read(rest), Unreadable):
                raise StreamIncomplete(f"the NDJSON answer ends inside a line ({rest[:60]!r}…).")
            yield from self.feed(b"\n", bytes)
        if self._footer:
            self.declared = _declared(self._last)

    def _line_by_line(self, block: bytes) -> Iterator[Records]:
        """The records of a block, by the reference parser, in slices."""
        unread = io.BytesIO(block)
        while lines := unread.readlines(SLICE_BYTES):
            found = [self._read(line.removesuffix(b"\n")) for line in lines if line.strip(WHITE_SPACE)]
            if self._errors:
                self._refuse_errors(self._errors, found)
            yield self._arrays.records(found) if self._arrays else cast("Records", found)

    @staticmethod
    def _refuse_errors(errors: ErrorDocument, records: list[object]) -> None:
        for record in records:
            if isinstance(record, dict) and (error := errors.error(None, record)):
                raise error

    def _without_last(self, lines: bytes) -> bytes:
        """The lines without the last one, which is held back since it may be the footer."""
        before, newline, line = (self._last + lines[:-1]).rpartition(b"\n")
        self._last = line + b"\n"
        return before + newline


def _reader(flat: Flat, *, keeps_last: bool) -> TemplateReader:
    """The reader by templates and Arrow; without Arrow if a column has any JSON value, or numbers it would round."""
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
        raise StreamIncomplete("the NDJSON answer ends without the requested footer.")
    return footer
