"""Reads CSV as rows of texts: RFC 4180 with a header line, or a dialect.

In RFC 4180, only a count in a header or footer marks the end. A dialect may have an end line.
"""

import codecs
import csv
import io
import json
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Self

from flows_platform.columns.casting import Rows, Slice
from flows_platform.columns.raw_records import Records, Unreadable
from flows_platform.domain.errors import MalformedDocument, SourceRefused, StreamIncomplete
from flows_platform.formats.csv.blocks import CsvReader
from flows_platform.formats.csv.dialect import RFC_4180, CsvDialect
from flows_platform.formats.protocol.envelope import DeclaredTotal, ErrorDocument, declared_text
from flows_platform.formats.protocol.metered_reader import (
    RECORD_BYTES,
    SLICE_BYTES,
    BlankDocument,
    ByteSource,
    Meter,
)
from flows_platform.formats.protocol.names import END
from flows_platform.formats.templates.blocks import Flat, parsed, proven

MARK = "\ufeff"  # a byte order mark
SLICE = 4096
FOOTER_FIELDS = (2, 3)  # `end,N` or `end,N,digest`
LINE_ENDS = (b"\n", b"\r")
BLANKS = " \t\r\n"
LONG = "field limit"  # in the csv module's message
SHOWN = 200  # characters of a header in a message


class CsvDocument:
    """One record per line, below a header line with the columns' names; a field may have 131,072 characters.

    The header must have one of the names in `known`, unless it is empty. An empty cell is NULL in the columns in
    `blank`. `errors` recognizes a row that is an error. A last line without a line end is complete only if the transfer
    proves its own end (`proven`), or if there is a footer. With `template`, if its columns are the header's, Arrow
    reads the blocks of lines where it certainly gives the same as Python's csv module.
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
        template: Flat | None = None,
    ) -> None:
        self._source = source
        self._meter = Meter(record_bytes=record_bytes)
        self._text = _Text(self._meter)
        self._lines = _Lines(self._text, dialect)
        self._rows = csv.reader(
            self._lines.all_records() if self._lines.plain else self._lines,
            strict=True,
            delimiter=dialect.delimiter,
            skipinitialspace=dialect.skip_spaces,
            quotechar=dialect.quote or None,
            quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
        )
        self._header: tuple[str, ...] = ()
        self._starts: set[str] = set()
        self._unsent: list[list[str]] = []
        plain = template if dialect == RFC_4180 and errors is None else None
        self._reader = CsvReader(plain, blank, keeps_last=footer) if plain else None
        self._footer = footer
        self._dialect = dialect
        self._known = known
        self._blank = blank
        self._errors = errors
        self._proven = proven or footer
        self.enclosed = False
        self.declared: DeclaredTotal | None = None

    def slices(self) -> Iterator[Slice]:
        """Rows of at most 4,096 records, or batches.

        Raises:
            MalformedDocument: it is not UTF-8, has a broken quote, or a field that is too long.
            SourceRefused: a record is too long, a row is an error, the lines before the header are missing, or the
                header does not name a declared column.
            StreamIncomplete: the required footer or end line is missing, or the last line may be cut.
            BlankDocument: it has only blank lines.
        """
        try:
            if self._reader:
                yield from proven(self._source, self, self._reader)
            else:
                yield from parsed(self._source, self)
        except (csv.Error, UnicodeDecodeError) as error:
            raise self._not_csv(error) from error
        self._lines.require_end()
        self.enclosed = bool(self._dialect.end)

    def _not_csv(self, error: Exception) -> MalformedDocument:
        """The platform's error for one of the csv module, or for text that is not UTF-8."""
        line = self._rows.line_num + self._lines.passed + (self._reader.lines if self._reader else 0)
        remedy = ""
        if isinstance(error, csv.Error):
            remedy = "Check `csv.delimiter` and `csv.quote`"
            remedy += "; a field may be too long because its quote never closes." if LONG in str(error) else "."
        return MalformedDocument(f"the answer is not valid CSV near line {line} ({error}).", remedy=remedy)

    def feed(self, text: bytes, more: Callable[[], bytes]) -> Iterator[Rows | Records]:
        self._text.give(text, more)
        if not self._header and self._text.is_there():
            self._begin()
        while self._text.is_there() and (row := self._lines.record(self._rows)) is not None:
            yield from self._taken(row)
        if self._lines.ended:
            self._lines.require_end()

    def is_between_records(self) -> bool:
        return bool(self._header) and not self._text.is_within_line()

    def flush(self) -> Iterator[Rows | Records]:
        if self._unsent:
            rows, self._unsent = self._unsent, []
            yield self._slice(rows)
            self._meter.release()

    def finish(self, text: bytes) -> Iterator[Rows | Records]:
        yield from self.feed(text, bytes)
        self._text.end()
        if not self._header:
            self._begin()
        while (row := self._lines.record(self._rows)) is not None:
            yield from self._taken(row)
        if self._text.is_blank:
            raise BlankDocument
        if self._footer:
            self.declared = _declared(self._unsent)
            self._unsent.pop()
        else:
            self._require_line_end(self._unsent[-1] if self._unsent else list(self._header))
        yield from self.flush()

    def _begin(self) -> None:
        self._lines.begin()
        self._header = self._read_header()
        self._starts = {start + name for name in self._header for start in ("", MARK)}  # of a header line
        if self._reader:
            self._reader.header = self._header

    def _taken(self, row: list[str]) -> Iterator[Rows | Records]:
        # An empty line is not a record, and neither is a second header line: joined files have one each.
        if len(self._header) > 1 and (not row or (row[0] in self._starts and self._is_header(row))):
            if not self._unsent:
                self._meter.release()
            return
        # Cut before the row is added, so that the last rows include the last one, which may be the footer.
        if len(self._unsent) == SLICE or (self._unsent and self._meter.pending > SLICE_BYTES):
            yield from self.flush()
        self._unsent.append(row)

    def _is_header(self, row: list[str]) -> bool:
        """Whether the row is the header again.

        Raises:
            SourceRefused: it is a header of other columns, or in another order.
        """
        again = (row[0].removeprefix(MARK), *row[1:])
        # guard: joined files have the same columns
        if again != self._header and 2 * len(set(again) & set(self._header)) > len(self._header):
            raise SourceRefused(
                f"the CSV answer has a second header {','.join(again)[:SHOWN]!r}, which differs from the first "
                f"({','.join(self._header)[:SHOWN]!r}).",
                remedy="Its columns would be read as those of the first header: ask for one file at a time.",
            )
        return again == self._header

    def _read_header(self) -> tuple[str, ...]:
        header = self._dialect.names or self._first_row()
        shown = ",".join(header)[:SHOWN]
        if not header or len(set(header)) != len(header):
            raise SourceRefused(
                f"the CSV answer has no header of distinct names, but {shown!r}.",
                remedy="Skip its line by `csv.skip`, and declare the columns' names as `csv.names`.",
            )
        if self._known and self._known.isdisjoint(header):
            raise SourceRefused(
                f"the CSV header {shown!r} does not name a declared column ({', '.join(sorted(self._known))[:SHOWN]}).",
                remedy="Write the columns' paths as in the header; if there is no header line, declare `csv.names`.",
            )
        return header

    def _first_row(self) -> tuple[str, ...]:
        while (row := self._lines.record(self._rows)) is not None:
            if row:
                return tuple(row)
            self._meter.release()
        if self._text.is_blank:
            raise BlankDocument
        return ()

    def _require_line_end(self, last: list[str]) -> None:
        """Refuse a last line without its end, which may be cut, or with too few fields, if errors come as rows.

        Without records, `last` is the header.
        """
        width = len(self._header)
        if self._dialect.end:
            return
        if not self._meter.tail.endswith(LINE_ENDS) and not (self._proven and len(last) == width):
            raise StreamIncomplete(f"the CSV answer ends inside a line ({','.join(last)[:60]!r}…).")
        if self._errors and len(last) < width:
            raise StreamIncomplete(
                f"the last line of the CSV answer is not a record: {len(last)} fields, but the header has {width} "
                f"({','.join(last)[:SHOWN]!r}).",
                remedy="It may be an error; if every answer ends with it, declare `csv.end` or `csv.comment`.",
            )

    def _slice(self, rows: list[list[str]]) -> Rows | Records:
        header = self._header
        whole = all(len(row) == len(header) for row in rows)
        if self._errors:
            self._refuse_errors(self._errors, header, rows)
        for index in [index for index, name in enumerate(header) if name in self._blank]:
            for row in rows:
                if index < len(row) and not row[index]:
                    row[index] = None  # type: ignore[call-overload]  # NULL from here on
        return Rows(header, list(rows)) if whole else [_record(header, row) for row in rows]

    @staticmethod
    def _refuse_errors(errors: ErrorDocument, header: tuple[str, ...], rows: list[list[str]]) -> None:
        if (name := errors.message.names[0]) not in header:
            return
        index = header.index(name)
        for row in rows:
            if index < len(row) and row[index] and (error := errors.error(None, dict(zip(header, row, strict=False)))):
                raise error


class _Text:
    """The lines of a text that arrives in pieces."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._bytes = b""  # not decoded yet
        self._more: Callable[[], bytes] = bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._line = ""  # the start of the last line, until its end has come
        self._ready: deque[str] = deque()
        self._fault: UnicodeDecodeError | None = None
        self._begun = self._ended = False
        self.is_blank = True  # so far, all lines are empty or white space

    def give(self, text: bytes, more: Callable[[], bytes]) -> None:
        """Add the next bytes; if a record does not end in them, the reader gets the following bytes from `more`."""
        self._bytes, self._more = self._bytes + text, more

    def end(self) -> None:
        """Mark the end: all bytes were given."""
        self._ended = True

    def is_there(self) -> bool:
        """Whether there is a line without more bytes."""
        while not self._ready and self._bytes and not self._fault:
            self._decode()
        return bool(self._ready or self._fault)

    def pass_over(self, line: str) -> None:
        """Note that a line is not part of a record: its bytes do not count for one."""
        self._meter.forget(len(line.encode()))

    def is_within_line(self) -> bool:
        """Whether the last line has not ended."""
        return bool(self._line or self._bytes or self._decoder.getstate()[0])

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        while not self.is_there():
            more = b"" if self._ended else self._more()
            if not more:
                return self._last()
            self._bytes += more
        if not self._ready and self._fault:
            raise self._fault
        return self._ready.popleft()

    def _last(self) -> str:
        """The last line, which has no line end."""
        self._ended = True
        line, self._line = self._line + self._decoder.decode(b"", final=True), ""
        if not line:
            raise StopIteration
        *before, line = io.StringIO(line, newline="")  # `a\rb` is two lines
        self._ready.extend([*before, line])
        return self._ready.popleft()

    def _decode(self) -> None:
        piece, self._bytes = self._bytes[:SLICE_BYTES], self._bytes[SLICE_BYTES:]
        piece = self._meter.admit(piece)
        try:
            text = self._decoder.decode(piece)
        except UnicodeDecodeError as error:
            text, self._fault = error.object[: error.start].decode(), _within_line(error)
        if text and not self._begun:
            text, self._begun = text.removeprefix(MARK), True
        self.is_blank = self.is_blank and not text.strip(BLANKS)
        text = self._line + text
        lines = list(io.StringIO(text, newline=""))
        # A carriage return may be the first half of a line end.
        self._line = lines.pop() if lines and not lines[-1].endswith("\n") else ""
        self._ready.extend(lines)


def _within_line(error: UnicodeDecodeError) -> UnicodeDecodeError:
    """The error with its position in its line, which does not depend on how the bytes were cut."""
    start = error.object.rfind(b"\n", 0, error.start) + 1
    return UnicodeDecodeError(
        error.encoding, error.object[start:], error.start - start, error.end - start, error.reason
    )


class _Lines:
    """The lines of the records, for csv.reader; the dialect's marks count only where a record may begin."""

    def __init__(self, text: _Text, dialect: CsvDialect) -> None:
        self._text = text
        self._dialect = dialect
        self._fresh = True  # whether the next line begins a record
        self.passed = 0  # lines that are not part of a record
        self.ended = False  # whether the end line has come

    @property
    def plain(self) -> bool:
        """Whether every line belongs to a record."""
        return not (self._dialect.comment or self._dialect.end)

    def all_records(self) -> Iterator[str]:
        """All lines, if they need no check."""
        return iter(self._text)

    def begin(self) -> None:
        """Skip the lines before the header.

        Raises:
            SourceRefused: there are fewer lines than are to be skipped, or the begin line is missing.
            BlankDocument: there are only blank lines.
        """
        skip, begin = self._dialect.skip, self._dialect.begin
        skipped = sum(1 for _ in islice(self._passing(), skip))
        begun = skipped == skip and (not begin or any(_is(line, begin) for line in self._passing()))
        if begun:
            return
        if self._text.is_blank:
            raise BlankDocument
        # guard: the lines before the header are there
        if skipped < skip:
            raise SourceRefused(
                f"the CSV answer has {skipped:,} lines, but `csv.skip` skips {skip:,}.",
                remedy="Check the URL and `csv.skip`: this is not the expected file.",
            )
        raise SourceRefused(
            f"the CSV answer has no line {begin!r}, after which the records begin.",
            remedy="Check the URL and `csv.begin`.",
        )

    def _passing(self) -> Iterator[str]:
        """The next lines, which are not part of records."""
        for line in self._text:
            self._pass_over(line)
            yield line

    def _pass_over(self, line: str) -> None:
        self.passed += 1
        self._text.pass_over(line)

    def record(self, rows: Iterator[list[str]]) -> list[str] | None:
        """The next row; None at the end."""
        self._fresh = True
        return next(rows, None)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        if self.ended:
            raise StopIteration
        for line in self._text:
            if self._fresh and self._dialect.end and _is(line, self._dialect.end):
                self.ended = True
                break
            if not (self._fresh and self._dialect.comment and line.startswith(self._dialect.comment)):
                self._fresh = False
                return line
            self._pass_over(line)
        raise StopIteration

    def require_end(self) -> None:
        """Refuse an answer without its end line, or with records after it.

        Raises:
            StreamIncomplete: the end line is missing, so the answer was cut.
            SourceRefused: there are lines after it.
        """
        if self._dialect.end and not self.ended:
            raise StreamIncomplete(f"the CSV answer ends without its end line {self._dialect.end!r}: it was cut.")
        for line in self._text:  # up to the end of the transfer, which may prove its completeness there
            if line.strip(BLANKS):
                raise SourceRefused(f"after the end line {self._dialect.end!r}, the CSV answer has {line[:60]!r}.")


def _is(line: str, mark: str) -> bool:
    return line.rstrip("\r\n") == mark


def _declared(rows: list[list[str]]) -> DeclaredTotal:
    last = rows[-1] if rows else []
    footer = declared_text(*last[1:]) if len(last) in FOOTER_FIELDS and last[0] == END else None
    if footer is None:
        raise StreamIncomplete("the CSV answer ends without the requested footer.")
    return footer


def _record(header: tuple[str, ...], row: list[str]) -> dict[str, object] | Unreadable:
    if len(row) == len(header):
        return dict(zip(header, row, strict=True))
    return Unreadable(f"{len(row)} fields, but the header has {len(header)}", json.dumps(row).encode())
