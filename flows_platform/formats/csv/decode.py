"""CSV to rows of texts: RFC 4180 with a header line, or as a dialect says.

Nothing marks the end of RFC 4180 but the count: a header's, or a footer's. A dialect may have an end line.
"""

import codecs
import csv
import io
import json
from collections import deque
from collections.abc import Callable, Iterator
from typing import Self

from flows_platform.columns.casting import Rows, Slice
from flows_platform.columns.raw_records import Records, Unreadable
from flows_platform.domain.errors import MalformedDocument, SourceRefused, StreamIncomplete
from flows_platform.formats.csv.blocks import CsvReader
from flows_platform.formats.csv.dialect import RFC_4180, CsvDialect
from flows_platform.formats.protocol.envelope import DeclaredTotal, ErrorDocument, declared_text
from flows_platform.formats.protocol.metered_reader import RECORD_BYTES, SLICE_BYTES, ByteSource, Meter
from flows_platform.formats.protocol.names import END
from flows_platform.formats.templates.blocks import Flat, parsed, proven

MARK = "\ufeff"  # a byte order mark
SLICE = 4096
FOOTER_FIELDS = (2, 3)  # `end,N` or `end,N,digest`
LINE_ENDS = (b"\n", b"\r")
SHOWN = 200  # characters of a header in a message


class CsvDocument:
    """A line a record, below a header line with the columns' names; a field may hold 131,072 characters.

    The header must have one of the names in `known`, where they are given. Of the columns in `blank` an empty cell is
    NULL. `errors` tells a row that is an error. A last line without its end is whole only where the transfer has proven
    its own (`proven`), or a footer does. With `template`, where its columns are the header's, Arrow reads the blocks
    of lines of which it certainly reads the same.
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
            quotechar=dialect.quote,
        )
        self._header: tuple[str, ...] = ()
        self._part: list[list[str]] = []
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
            MalformedDocument: not UTF-8, a broken quote, or a field that is too long.
            SourceRefused: a record that is too long, a row that is an error, or a header without a declared column.
            StreamIncomplete: there should be a footer or an end line, and there is none; or the last line may be cut.
        """
        try:
            if self._reader:
                yield from proven(self._source, self, self._reader)
            else:
                yield from parsed(self._source, self)
        except (csv.Error, UnicodeDecodeError) as error:
            line = self._rows.line_num + (self._reader.lines if self._reader else 0)
            raise MalformedDocument(f"the answer is not valid CSV near line {line} ({error}).") from error
        self._lines.require_end()
        self.enclosed = bool(self._dialect.end)

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
        if self._part:
            part, self._part = self._part, []
            yield self._slice(part)
            self._meter.release()

    def finish(self, text: bytes) -> Iterator[Rows | Records]:
        yield from self.feed(text, bytes)
        self._text.end()
        if not self._header:
            self._begin()
        while (row := self._lines.record(self._rows)) is not None:
            yield from self._taken(row)
        if self._footer:
            self.declared = _declared(self._part)
            self._part.pop()
        elif self._part:
            self._require_line_end(self._part[-1])
        yield from self.flush()

    def _begin(self) -> None:
        self._lines.begin()
        self._header = self._read_header()
        if self._reader:
            self._reader.header = self._header

    def _taken(self, row: list[str]) -> Iterator[Rows | Records]:
        if not row and len(self._header) > 1:  # an empty line is no record
            return
        # Cut before the row is added: what is left at the end holds the last one, which may be the footer.
        if len(self._part) == SLICE or (self._part and self._meter.pending > SLICE_BYTES):
            yield from self.flush()
        self._part.append(row)

    def _read_header(self) -> tuple[str, ...]:
        header = self._dialect.names or tuple(self._lines.record(self._rows) or ())
        shown = ",".join(header)[:SHOWN]
        if not header or len(set(header)) != len(header):
            raise SourceRefused(f"the CSV answer has no header of distinct names, but {shown!r}.")
        if self._known and self._known.isdisjoint(header):
            raise SourceRefused(
                f"the CSV header {shown!r} has none of the declared columns {', '.join(sorted(self._known))[:SHOWN]}.",
                remedy="Write the columns' paths as the header does; if there is no header line, declare `csv.names`.",
            )
        return header

    def _require_line_end(self, last: list[str]) -> None:
        """A last line without its end may be cut; where errors come as rows, one with fewer fields may be one."""
        width = len(self._header)
        if self._dialect.end:
            return
        if not self._meter.tail.endswith(LINE_ENDS) and not (self._proven and len(last) == width):
            raise StreamIncomplete(f"the CSV answer ends inside a line ({','.join(last)[:60]!r}…).")
        if self._errors and len(last) < width:
            raise StreamIncomplete(
                f"the last line of the CSV answer is no record: {len(last)} fields where the header has {width} "
                f"({','.join(last)[:SHOWN]!r}).",
                remedy="It may be an error; where it ends each answer, declare `csv.end` or `csv.comment`.",
            )

    def _slice(self, part: list[list[str]]) -> Rows | Records:
        header = self._header
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


class _Text:
    """The lines of a text that comes in pieces."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._bytes = b""  # not decoded yet
        self._more: Callable[[], bytes] = bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._line = ""  # the last one, as far as it came
        self._ready: deque[str] = deque()
        self._fault: UnicodeDecodeError | None = None
        self._begun = self._ended = False

    def give(self, text: bytes, more: Callable[[], bytes]) -> None:
        """The next bytes; a record that does not end with them takes what `more` gives."""
        self._bytes, self._more = self._bytes + text, more

    def end(self) -> None:
        """All bytes were given."""
        self._ended = True

    def is_there(self) -> bool:
        """Whether there is a line without asking for more."""
        while not self._ready and self._bytes and not self._fault:
            self._decode()
        return bool(self._ready or self._fault)

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
        """The last line, which has no end."""
        self._ended = True
        line, self._line = self._line + self._decoder.decode(b"", final=True), ""
        if not line:
            raise StopIteration
        *before, line = io.StringIO(line, newline="")  # `a\rb` is two
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
        text = self._line + text
        lines = list(io.StringIO(text, newline=""))
        # A carriage return may be half of a line's end.
        self._line = lines.pop() if lines and not lines[-1].endswith("\n") else ""
        self._ready.extend(lines)


def _within_line(error: UnicodeDecodeError) -> UnicodeDecodeError:
    """The error with its place in its line: the same, however the bytes came."""
    start = error.object.rfind(b"\n", 0, error.start) + 1
    return UnicodeDecodeError(
        error.encoding, error.object[start:], error.start - start, error.end - start, error.reason
    )


class _Lines:
    """The lines of the records, as the reader asks for them; the dialect looks where a record may begin."""

    def __init__(self, text: Iterator[str], dialect: CsvDialect) -> None:
        self._text = text
        self._dialect = dialect
        self._fresh = True  # the next line begins a record
        self.ended = False  # the end line was met

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
        if self.ended:
            raise StopIteration
        for line in self._text:
            if self._fresh and self._dialect.end and _is(line, self._dialect.end):
                self.ended = True
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
        if self._dialect.end and not self.ended:
            raise StreamIncomplete(f"the CSV answer ends without its end line {self._dialect.end!r}: it was cut.")
        for line in self._text:  # to the end of the transfer, which proves itself there
            if line.strip(" \t\r\n"):
                raise SourceRefused(f"after the end line {self._dialect.end!r} the CSV answer has {line[:60]!r}.")


def _is(line: str, mark: str) -> bool:
    return line.rstrip("\r\n") == mark


def _declared(part: list[list[str]]) -> DeclaredTotal:
    last = part[-1] if part else []
    footer = declared_text(*last[1:]) if len(last) in FOOTER_FIELDS and last[0] == END else None
    if footer is None:
        raise StreamIncomplete("the CSV answer ends without the requested footer.")
    return footer


def _record(header: tuple[str, ...], row: list[str]) -> dict[str, object] | Unreadable:
    if len(row) == len(header):
        return dict(zip(header, row, strict=True))
    return Unreadable(f"{len(row)} fields where the header has {len(header)}", json.dumps(row).encode())
