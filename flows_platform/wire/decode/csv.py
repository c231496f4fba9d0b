"""CSV to rows of texts: RFC 4180 with a header line, or as a dialect says.

Nothing marks the end of RFC 4180 but the count: a header's, or a footer's. A dialect may have an end line.
"""

import csv
import io
import json
from collections.abc import Iterator
from typing import Self

from flows_platform.domain.errors import MalformedDocument, SourceRefused, StreamIncomplete
from flows_platform.wire.casting import Rows
from flows_platform.wire.csv_dialect import RFC_4180, CsvDialect
from flows_platform.wire.decode.envelope import ErrorDocument
from flows_platform.wire.decode.footers import Declared, declared_text
from flows_platform.wire.decode.source import RECORD_BYTES, SLICE_BYTES, ByteSource, MeteredReader, Readable
from flows_platform.wire.formats import END
from flows_platform.wire.raw_records import Records, Unreadable

SLICE = 4096
FOOTER_FIELDS = (2, 3)  # `end,N` or `end,N,digest`
LINE_ENDS = (b"\n", b"\r")
SHOWN = 200  # characters of a header in a message


class CsvDocument:
    """A line a record, below a header line with the columns' names; a field may hold 131,072 characters.

    The header must have one of the names in `known`, where they are given. Of the columns in `blank` an empty cell is
    NULL. `errors` tells a row that is an error. A last line without its end is whole only where the transfer has proven
    its own (`proven`), or a footer does.
    """

    def __init__(
        self,
        source: ByteSource,
        *,
        footer: bool = False,
        record_bytes: int = RECORD_BYTES,
        dialect: CsvDialect = RFC_4180,
        known: frozenset[str] = frozenset(),
        blank: frozenset[str] = frozenset(),
        errors: ErrorDocument | None = None,
        proven: bool = False,
    ) -> None:
        self._reader = MeteredReader(source, record_bytes=record_bytes)
        self._footer = footer
        self._dialect = dialect
        self._known = known
        self._blank = blank
        self._errors = errors
        self._proven = proven or footer
        self._width = 0  # fields of a whole row
        self.enclosed = False
        self.declared: Declared | None = None

    def slices(self) -> Iterator[Rows | Records]:
        """Rows of at most 4,096 records.

        Raises:
            MalformedDocument: not UTF-8, a broken quote, or a field that is too long.
            SourceRefused: a record that is too long, a row that is an error, or a header without a declared column.
            StreamIncomplete: there should be a footer or an end line, and there is none; or the last line may be cut.
        """
        buffered = io.BufferedReader(Readable(self._reader), 1 << 18)
        lines = _Lines(io.TextIOWrapper(buffered, encoding="utf-8-sig", newline=""), self._dialect)
        rows = csv.reader(
            lines.all_records() if lines.plain else lines,
            strict=True,
            delimiter=self._dialect.delimiter,
            quotechar=self._dialect.quote,
        )
        try:
            lines.begin()
            header = self._header(rows, lines)
            self._width = len(header)
            for part in self._parts(rows, lines):
                yield self._rows(header, part)
        except (csv.Error, UnicodeDecodeError) as error:
            raise MalformedDocument(f"the answer is not valid CSV near line {rows.line_num} ({error}).") from error
        lines.require_end()
        self.enclosed = bool(self._dialect.end)

    def _header(self, rows: Iterator[list[str]], lines: "_Lines") -> tuple[str, ...]:
        header = self._dialect.names or tuple(lines.record(rows) or ())
        shown = ",".join(header)[:SHOWN]
        if not header or len(set(header)) != len(header):
            raise SourceRefused(f"the CSV answer has no header of distinct names, but {shown!r}.")
        if self._known and self._known.isdisjoint(header):
            raise SourceRefused(
                f"the CSV header {shown!r} has none of the declared columns {', '.join(sorted(self._known))[:SHOWN]}.",
                remedy="Write the columns' paths as the header does; if there is no header line, declare `csv.names`.",
            )
        return header

    def _parts(self, rows: Iterator[list[str]], lines: "_Lines") -> Iterator[list[list[str]]]:
        part: list[list[str]] = []
        while (row := lines.record(rows)) is not None:
            if not row and self._width > 1:  # an empty line is no record
                continue
            # Cut before the row is added: what is left at the end holds the last one, which may be the footer.
            if len(part) == SLICE or (part and self._reader.pending > SLICE_BYTES):
                yield part
                self._reader.release()
                part = []
            part.append(row)
        if self._footer:
            self.declared = _declared(part)
            part = part[:-1]
        elif part:
            self._require_line_end(part[-1])
        if part:
            yield part

    def _require_line_end(self, last: list[str]) -> None:
        """A last line without its end may be cut; where errors come as rows, one with fewer fields may be one."""
        if self._dialect.end:
            return
        if not self._reader.tail.endswith(LINE_ENDS) and not (self._proven and len(last) == self._width):
            raise StreamIncomplete(f"the CSV answer ends inside a line ({','.join(last)[:60]!r}…).")
        if self._errors and len(last) < self._width:
            raise StreamIncomplete(
                f"the last line of the CSV answer is no record: {len(last)} fields where the header has {self._width} "
                f"({','.join(last)[:SHOWN]!r}).",
                remedy="It may be an error; where it ends each answer, declare `csv.end` or `csv.comment`.",
            )

    def _rows(self, header: tuple[str, ...], part: list[list[str]]) -> Rows | Records:
        whole = all(len(row) == len(header) for row in part)
        if self._errors:
            self._refuse_errors(self._errors, header, part)
        for place in [place for place, name in enumerate(header) if name in self._blank]:
            for row in part:
                if place < len(row) and not row[place]:
                    row[place] = None  # type: ignore[call-overload]  # NULL, from here on
        return Rows(header, list(part)) if whole else [_record(header, row) for row in part]

    @staticmethod
    def _refuse_errors(errors: ErrorDocument, header: tuple[str, ...], part: list[list[str]]) -> None:
        if (name := errors.message.names[0]) not in header:
            return
        place = header.index(name)
        for row in part:
            if place < len(row) and row[place] and (error := errors.error(None, dict(zip(header, row, strict=False)))):
                raise error


class _Lines:
    """The lines of the records, as the reader asks for them; the dialect looks where a record may begin."""

    def __init__(self, text: io.TextIOWrapper, dialect: CsvDialect) -> None:
        self._text = text
        self._dialect = dialect
        self._fresh = True  # the next line begins a record
        self._ended = False

    @property
    def plain(self) -> bool:
        """Whether every line is a record's."""
        return not (self._dialect.comment or self._dialect.end)

    def all_records(self) -> Iterator[str]:
        """Every line, for who need not look at them."""
        return iter(self._text)

    def begin(self) -> None:
        """Passes over the lines before the header."""
        for _ in range(self._dialect.skip):
            next(self._text, "")
        if self._dialect.begin and not any(_is(line, self._dialect.begin) for line in self._text):
            raise SourceRefused(
                f"the CSV answer has no line {self._dialect.begin!r} to begin after.",
                remedy="Check the URL, and `csv.begin`.",
            )

    def record(self, rows: Iterator[list[str]]) -> list[str] | None:
        """The next row; None at the end."""
        self._fresh = True
        return next(rows, None)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        if self._ended:
            raise StopIteration
        for line in self._text:
            if self._fresh and self._dialect.end and _is(line, self._dialect.end):
                self._ended = True
                break
            if not (self._fresh and self._dialect.comment and line.startswith(self._dialect.comment)):
                self._fresh = False
                return line
        raise StopIteration

    def require_end(self) -> None:
        """Refuses an answer without its end line.

        Raises:
            StreamIncomplete: it has none: it was cut.
        """
        if self._dialect.end and not self._ended:
            raise StreamIncomplete(f"the CSV answer ends without its end line {self._dialect.end!r}: it was cut.")
        for line in self._text:  # to the end of the transfer, which proves itself there
            if line.strip(" \t\r\n"):
                raise SourceRefused(f"after the end line {self._dialect.end!r} the CSV answer has {line[:60]!r}.")


def _is(line: str, mark: str) -> bool:
    return line.rstrip("\r\n") == mark


def _declared(part: list[list[str]]) -> Declared:
    last = part[-1] if part else []
    footer = declared_text(*last[1:]) if len(last) in FOOTER_FIELDS and last[0] == END else None
    if footer is None:
        raise StreamIncomplete("the CSV answer ends without the footer that was asked for.")
    return footer


def _record(header: tuple[str, ...], row: list[str]) -> dict[str, object] | Unreadable:
    if len(row) == len(header):
        return dict(zip(header, row, strict=True))
    return Unreadable(f"{len(row)} fields where the header has {len(header)}", json.dumps(row).encode())
