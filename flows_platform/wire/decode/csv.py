"""RFC 4180 with a header line to rows of texts. Nothing marks its end but the count: a header's, or a footer's."""

import csv
import io
import json
from collections.abc import Iterator

from flows_platform.domain.errors import MalformedDocument, SourceRefused, StreamIncomplete
from flows_platform.wire.casting import Rows
from flows_platform.wire.decode.footers import Declared, declared_text
from flows_platform.wire.decode.source import RECORD_BYTES, SLICE_BYTES, ByteSource, MeteredReader, Readable
from flows_platform.wire.formats import END
from flows_platform.wire.raw_records import Records, Unreadable

SLICE = 4096
FOOTER_FIELDS = (2, 3)  # `end,N` or `end,N,digest`


class CsvDocument:
    """A header line with the columns' names, then a line a record; a field may hold 131,072 characters."""

    enclosed = False

    def __init__(self, source: ByteSource, *, footer: bool = False, record_bytes: int = RECORD_BYTES) -> None:
        self._reader = MeteredReader(source, record_bytes=record_bytes)
        self._footer = footer
        self.declared: Declared | None = None

    def slices(self) -> Iterator[Rows | Records]:
        """Rows of at most 4,096 records.

        Raises:
            MalformedDocument: not UTF-8, a broken quote, or a field that is too long.
            SourceRefused: a record that is too long, or no header.
            StreamIncomplete: there should be a footer, and there is none.
        """
        text = io.TextIOWrapper(io.BufferedReader(Readable(self._reader), 1 << 18), encoding="utf-8", newline="")
        lines = csv.reader(text, strict=True)
        try:
            header = tuple(next(lines, ()))
            if not header or len(set(header)) != len(header):
                raise SourceRefused(f"the CSV answer has no header of distinct names, but {','.join(header)[:200]!r}.")
            for part in self._parts(lines):
                yield _rows(header, part)
        except (csv.Error, UnicodeDecodeError) as error:
            raise MalformedDocument(f"the answer is not valid CSV near line {lines.line_num} ({error}).") from error

    def _parts(self, lines: Iterator[list[str]]) -> Iterator[list[list[str]]]:
        part: list[list[str]] = []
        for row in lines:
            # Cut before the row is added: what is left at the end holds the last one, which may be the footer.
            if len(part) == SLICE or (part and self._reader.pending > SLICE_BYTES):
                yield part
                self._reader.release()
                part = []
            part.append(row)
        if self._footer:
            self.declared = _declared(part)
            part = part[:-1]
        if part:
            yield part


def _declared(part: list[list[str]]) -> Declared:
    last = part[-1] if part else []
    footer = declared_text(*last[1:]) if len(last) in FOOTER_FIELDS and last[0] == END else None
    if footer is None:
        raise StreamIncomplete("the CSV answer ends without the footer that was asked for.")
    return footer


def _rows(header: tuple[str, ...], part: list[list[str]]) -> Rows | Records:
    if all(len(row) == len(header) for row in part):
        return Rows(header, list(part))
    return [_record(header, row) for row in part]


def _record(header: tuple[str, ...], row: list[str]) -> dict[str, object] | Unreadable:
    if len(row) == len(header):
        return dict(zip(header, row, strict=True))
    return Unreadable(f"{len(row)} fields where the header has {len(header)}", json.dumps(row).encode())
