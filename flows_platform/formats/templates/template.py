"""Records that repeat one layout, read as columns without a parser: what is not proven to repeat it is not read.

A stream is written by one program: after its first record all others have the same bytes around their values. Those
bytes, learnt from one record, are the template. In a block of records every place of a mark, a byte or two, is found at
once; around each the template's bytes are compared, eight at a time. What lies between them are the values. Where each
byte of a block is either the template's or a value that could be no markup, a parser would give the same records; in
any other case there is no result, and the parser decides.

Text and JSON, or XML, is told by the learners, `json_templates` and `xml_template`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from itertools import islice

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from flows_platform.columns.cast_values import Misfit, cast_value
from flows_platform.domain.schema import Column, ColumnType

type Places = npt.NDArray[np.int64]
type Octets = npt.NDArray[np.uint8]

WORD = 8  # bytes compared at once
NAME_END = b'":'  # in no text of JSON that has no escapes, although a colon may be
LOOKED_AT = 20  # records in which a template is looked for
MOST_FIELDS = 512
QUOTE, MINUS, ZERO, NINE = b'"'[0], b"-"[0], b"0"[0], b"9"[0]
BLANK = 32  # bytes below are control characters
NO_CHARACTERS = (b"\xef\xbf\xbe", b"\xef\xbf\xbf")  # U+FFFE and U+FFFF, which XML does not allow
NULL = b"null"


@dataclass(frozen=True, slots=True)
class Value:
    """A field's value in a record: which column it is, and how it is written.

    `quoted` has quotes around it, which belong to the template unless it is `nullable`: then `null` may stand there
    instead. Else it is `bare`, or a text of XML.
    """

    column: Column
    quoted: bool = False
    bare: bool = False
    nullable: bool = False


@dataclass(frozen=True)
class Template:
    """The bytes around the values of a record: `begin`, one of `between` after each value but the last, `end`.

    Records are separated by `separator`. `forbidden` bytes are in no block, `counted` ones in no value.
    """

    mark: bytes
    begin: bytes
    between: tuple[bytes, ...]
    end: bytes
    separator: bytes
    values: tuple[Value, ...]
    forbidden: tuple[bytes, ...] = ()
    counted: bytes = b""

    @cached_property
    def boundary(self) -> bytes:
        """What stands between the last value of a record and the first one of the next."""
        return self.end + self.separator + self.begin

    @cached_property
    def _marks(self) -> list[list[int]]:
        """Where the marks end in `begin`, each of `between`, and `end`."""
        return [
            [found.end() - 1 for found in re.finditer(re.escape(self.mark), literal)]
            for literal in (self.begin, *self.between, self.end)
        ]

    @property
    def is_usable(self) -> bool:
        """Whether each literal but the end has a mark, and a word before the second value lies within the record."""
        shortest = len(self.begin) + min(map(len, self.between), default=len(self.boundary))
        return all(self._marks[:-1]) and shortest >= WORD and len(self.boundary) >= WORD

    def cut(self, text: bytes) -> int:
        """The place after the last record in `text` that another one follows; 0 where there is none."""
        found = text.rfind(self.boundary)
        return found + len(self.end) if found >= 0 else 0

    def read(self, text: bytes, longest: int) -> pa.RecordBatch | None:
        """The records of a text that begins and ends with a record; None where that is not proven.

        No record is proven that has more than `longest` bytes.
        """
        placed = self._placed(text)
        if placed is None or not self._are_texts(text, len(placed.starts)):
            return None
        if int((placed.stops[:, -1] - placed.starts[:, 0]).max()) > longest:
            return None
        octets = np.frombuffer(text, np.uint8)
        nulls: dict[int, npt.NDArray[np.bool_]] = {}
        quotes = 0
        for number, value in enumerate(self.values):
            if value.nullable:
                null = _unquoted(octets, placed, number, quoted=value.quoted)
                if null is None:
                    return None
                quotes += 2 * int(np.count_nonzero(~null)) if value.quoted else 0
                nulls[number] = null
        if not self._counts_agree(octets, len(placed.starts), quotes):
            return None
        return self._batch(text, octets, placed, nulls)

    def _placed(self, text: bytes) -> "_Placed | None":
        """Where the values are; None where the literals are not what stands around them."""
        if len(text) < WORD:
            return None
        octets = np.frombuffer(text, np.uint8)
        width = sum(map(len, self._marks))
        marks = _marks_in(octets, self.mark)
        if not text.startswith(self.begin) or not text.endswith(self.end) or not len(marks) or len(marks) % width:
            return None
        places = marks.reshape(-1, width)
        words = np.ndarray((len(text) - WORD + 1,), "<u8", text, strides=(1,))  # the one at every place
        begins = places[:, 0] - self._marks[0][0]
        ends = np.append(begins[1:] - len(self.separator) - len(self.end), len(text) - len(self.end))
        if not _stand(words, ends[:-1], self.boundary):
            return None
        literals = [begins]
        next_mark = len(self._marks[0])
        for literal, inner in zip(self.between, self._marks[1:-1], strict=True):
            literals.append(places[:, next_mark] - inner[0])
            if not _stand(words, literals[-1], literal):
                return None
            next_mark += len(inner)
        literals.append(ends)
        sizes = (len(self.begin), *map(len, self.between))
        starts = np.stack([at + size for at, size in zip(literals, sizes, strict=False)], axis=1)
        stops = np.stack(literals[1:], axis=1)
        # Literals that do not overlap have as many marks as there are: so no other place has one.
        return None if (starts > stops).any() else _Placed(starts, stops)

    def _are_texts(self, text: bytes, rows: int) -> bool:
        """Whether all is UTF-8 without what no value may hold."""
        if any(each in text for each in self.forbidden):
            return False
        octets = np.frombuffer(text, np.uint8)
        control = sum(byte < BLANK for byte in self.begin + b"".join(self.between) + self.end)
        allowed = rows * control + (rows - 1) * sum(byte < BLANK for byte in self.separator)
        if np.count_nonzero(octets < BLANK) != allowed:
            return False
        if text.isascii():
            return True
        try:
            text.decode()
        except UnicodeDecodeError:
            return False
        return True

    def _counts_agree(self, octets: Octets, rows: int, quotes: int) -> bool:
        """Whether the literals have all of the bytes that are in no value."""
        literals = self.begin + b"".join(self.between) + self.end
        return all(
            np.count_nonzero(octets == byte)
            == rows * literals.count(byte) + (rows - 1) * self.separator.count(byte) + (quotes if byte == QUOTE else 0)
            for byte in self.counted
        )

    def _batch(
        self, text: bytes, octets: Octets, placed: "_Placed", nulls: Mapping[int, npt.NDArray[np.bool_]]
    ) -> pa.RecordBatch | None:
        rows, width = placed.starts.shape
        offsets = np.empty((rows, 2 * width), np.int32)
        offsets[:, 0::2], offsets[:, 1::2] = placed.starts, placed.stops
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(text)]
        pieces = pa.Array.from_buffers(pa.string(), 2 * rows * width - 1, buffers)
        arrays = []
        indices = np.arange(0, 2 * rows * width, 2 * width, dtype=np.int32)
        for number, value in enumerate(self.values):
            texts = pieces.take(_indices(indices + 2 * number, nulls.get(number)))
            sizes = placed.stops[:, number] - placed.starts[:, number]
            array = typed(value, texts, octets[placed.starts[:, number]], sizes)
            if array is None:
                return None
            arrays.append(array)
        return pa.RecordBatch.from_arrays(arrays, names=[value.column.name for value in self.values])


@dataclass(frozen=True, slots=True)
class _Placed:
    """Where the values are: a row for each record, a column for each value."""

    starts: Places
    stops: Places


def _marks_in(octets: Octets, mark: bytes) -> Places:
    """The places of the mark's last byte; it has one or two."""
    last = octets == mark[-1]
    if len(mark) > 1:
        last[1:] &= octets[:-1] == mark[0]
        last[0] = False
    return np.flatnonzero(last)


def _stand(words: npt.NDArray[np.uint64], places: Places, literal: bytes) -> bool:
    """Whether the literal stands at each of the rising places; of a short one, the word that it ends is compared."""
    size = len(literal)
    if not len(places):
        return True
    if int(places[0]) + min(0, size - WORD) < 0 or int(places[-1]) + max(0, size - WORD) >= len(words):
        return False
    if size < WORD:
        shift = 8 * (WORD - size)
        return bool((words[places + (size - WORD)] >> np.uint64(shift) == int.from_bytes(literal, "little")).all())
    for start in (*range(0, size - WORD, WORD), size - WORD):
        if (words[places + start] != int.from_bytes(literal[start : start + WORD], "little")).any():
            return False
    return True


def _unquoted(octets: Octets, placed: _Placed, number: int, *, quoted: bool) -> npt.NDArray[np.bool_] | None:
    """Which values of a column are `null`, and the places of the others without their quotes; None for other values."""
    starts, stops = placed.starts[:, number], placed.stops[:, number]
    sizes = stops - starts
    null: npt.NDArray[np.bool_] = sizes == len(NULL)
    for place, letter in enumerate(NULL):
        null &= octets[np.minimum(starts + place, len(octets) - 1)] == letter
    if quoted:
        around = (sizes > 1) & (octets[starts] == QUOTE) & (octets[stops - 1] == QUOTE)
        if not (around | null).all():
            return None
        starts += around
        stops -= around
    return null


def _indices(indices: npt.NDArray[np.int32], null: npt.NDArray[np.bool_] | None) -> pa.Array:
    """Built of buffers: `pa.array` of numpy's imports pandas where that is installed, which takes half a second."""
    buffers: list[pa.Buffer | None] = [None, pa.py_buffer(np.ascontiguousarray(indices))]
    if null is not None and null.any():
        buffers[0] = pa.py_buffer(np.packbits(~null, bitorder="little"))
    return pa.Array.from_buffers(pa.int32(), len(indices), buffers)


def typed(value: Value, texts: pa.Array, first: Octets, sizes: Places) -> pa.Array | None:
    """The values as the column's type, or as texts for who casts them; None where JSON would not read them so.

    `first` are their first bytes; of an empty one, the one after it.
    """
    kind = value.column.type
    if kind is ColumnType.INT64 and _are_integers(texts, first, sizes):
        try:
            return texts.cast(pa.int64())
        except pa.ArrowInvalid:
            return None if value.bare else texts
    if not value.bare:
        return texts
    if kind is ColumnType.BOOL:
        return _truths(texts)
    return _numbers(value.column, texts) if kind is ColumnType.FLOAT64 else None


def _are_integers(texts: pa.Array, first: Octets, sizes: Places) -> bool:
    """Whether each is written as an integer is: no sign but one minus, no zeros before it, digits alone.

    Arrow's cast, which follows, refuses what has other characters than digits behind the first, but for `0x`.
    """
    usual = ((first > ZERO) & (first <= NINE) & (sizes > 0)) | ((first == ZERO) & (sizes == 1))
    if usual.all():
        return True
    if not texts.null_count and not (first == MINUS).any():
        return False
    try:
        return bool(texts.cast(pa.int64()).cast(pa.string()).equals(texts))
    except pa.ArrowInvalid:
        return False


def _truths(texts: pa.Array) -> pa.Array | None:
    encoded = texts.dictionary_encode()
    words = encoded.dictionary.to_pylist()
    if not set(words) <= {"true", "false"}:
        return None
    return pa.array([word == "true" for word in words], pa.bool_()).take(encoded.indices)


JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]{1,4})?", re.ASCII)
LONGEST_NUMBER = 400


def _numbers(column: Column, texts: pa.Array) -> pa.Array | None:
    """Each distinct number as the reference reads and casts it."""
    encoded = texts.dictionary_encode()
    numbers = []
    for text in encoded.dictionary.to_pylist():
        written = JSON_NUMBER.fullmatch(text) if len(text) <= LONGEST_NUMBER else None
        if written is None:
            return None
        try:
            numbers.append(cast_value(column, Decimal(text) if written[1] or written[2] else int(text)))
        except Misfit:
            return None
    return pa.array(numbers, pa.float64()).take(encoded.indices)


_FIELD = re.compile(
    rb'([ \t\r\n]*"((?:[^"\\\x00-\x1f])*)"[ \t\r\n]*:[ \t\r\n]*)'
    rb'(?:"((?:[^"\\\x00-\x1f])*)"|(-?[0-9][0-9.eE+-]*|true|false)|(null))'
)
_NEXT = re.compile(rb"[ \t\r\n]*,")
_CLOSE = re.compile(rb"[ \t\r\n]*\}")
_SEPARATORS = {",": re.compile(rb"[ \t\r\n]*,[ \t\r\n]*(?=\{)"), "": re.compile(rb"\r?\n(?=\{)")}


@dataclass(slots=True)
class _Record:
    """A record as it is written: for each field what stands before its value, its name, and the value's kind."""

    before: list[bytes] = field(default_factory=list)
    names: list[bytes] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)
    close: bytes = b""


def json_templates(text: bytes, columns: Sequence[Column], comma: str) -> list[Template]:
    """The templates that the first flat record of these columns in `text` may follow, likely ones first.

    Records are separated by `comma` and white space; without one, by a line end.
    """
    start = text.find(b"{")
    for _ in range(LOOKED_AT):
        if start < 0:
            break
        found = _json_record(text, start)
        if found and (comma or b"\n" not in text[start : found[1]]):
            record, end = found
            separator = _SEPARATORS[comma].match(text, end)
            if separator and (templates := list(_json_variants(record, separator[0], columns))):
                return templates
        start = text.find(b"{", start + 1)
    return []


def _json_record(text: bytes, start: int) -> tuple[_Record, int] | None:
    record, place, lead = _Record(), start + 1, b"{"
    while len(record.names) < MOST_FIELDS and (found := _FIELD.match(text, place)):
        before, name, quoted, bare, _ = found.groups()
        record.before.append(lead + before)
        record.names.append(name)
        record.kinds.append("quoted" if quoted is not None else "bare" if bare is not None else "null")
        record.texts.append(quoted or b"")
        place = found.end()
        if close := _CLOSE.match(text, place):
            record.close = close[0]
            return record, close.end()
        comma = _NEXT.match(text, place)
        if comma is None:
            return None
        lead, place = comma[0], comma.end()
    return None


def _json_variants(record: _Record, separator: bytes, columns: Sequence[Column]) -> Iterator[Template]:
    by_name = {column.name.encode(): column for column in columns}
    if sorted(record.names) != sorted(by_name):
        return
    fields = [by_name[name] for name in record.names]
    kinds = record.kinds
    if "null" not in kinds:
        values = tuple(
            Value(column, quoted=kind == "quoted", bare=kind == "bare")
            for column, kind in zip(fields, kinds, strict=True)
        )
        if not any(b":" in text for text in record.texts):
            yield from _usable(record, separator, values, b":")
        yield from _usable(record, separator, values, NAME_END)
    values = tuple(_nullable(column, kind) for column, kind in zip(fields, kinds, strict=True))
    if any(value.nullable for value in values):
        yield from _usable(record, separator, values, NAME_END)


def _nullable(column: Column, kind: str) -> Value:
    quoted = kind == "quoted" or (kind == "null" and column.type in {ColumnType.STRING, ColumnType.TIMESTAMP})
    return Value(column, quoted=quoted, bare=not quoted, nullable=column.nullable)


def _usable(record: _Record, separator: bytes, values: tuple[Value, ...], mark: bytes) -> Iterator[Template]:
    """The template with these values, if they can be what their columns hold."""
    if any(value.column.type is ColumnType.JSON for value in values):
        return  # what a column of JSON keeps of a number depends on each digit
    if any(value.bare and value.column.type in {ColumnType.STRING, ColumnType.TIMESTAMP} for value in values):
        return
    quotes = [b'"' if value.quoted and not value.nullable else b"" for value in values]
    literals = [
        after + before + own for after, before, own in zip([b"", *quotes[:-1]], record.before, quotes, strict=True)
    ]
    end = quotes[-1] + record.close
    template = Template(
        mark, literals[0], tuple(literals[1:]), end, separator, values, forbidden=(b"\\",), counted=b'"'
    )
    if template.is_usable:
        yield template


_CHILD = re.compile(rb"([ \t\r\n]*<([A-Za-z_][A-Za-z0-9_.-]*)>)([^<>&\x00-\x1f]*)(</\2>)")


def xml_template(text: bytes, record: str, columns: Sequence[Column]) -> list[Template]:
    """The template of the first flat `record` of these columns in `text`, if there is one."""
    opening, start = f"<{record}>".encode(), -1
    for _ in range(LOOKED_AT):
        start = text.find(opening, start + 1)
        if start < 0:
            break
        if (template := _xml_record(text, start, opening, columns)) and template.is_usable:
            return [template]
    return []


def _xml_record(text: bytes, start: int, opening: bytes, columns: Sequence[Column]) -> Template | None:
    by_name = {column.name.encode(): column for column in columns}
    place, lead = start + len(opening), opening
    literals: list[bytes] = []
    names: list[bytes] = []
    for child in islice(_children(text, place), MOST_FIELDS):
        literals.append(lead + child[1])
        names.append(child[2])
        lead, place = child[4], child.end()
    closing = b"</" + opening[1:]
    close = re.compile(rb"[ \t\r\n]*" + re.escape(closing)).match(text, place)
    if close is None or sorted(names) != sorted(by_name):
        return None
    separator = re.compile(rb"[ \t\r\n]*(?=" + re.escape(opening) + rb")").match(text, close.end())
    if separator is None:
        return None
    values = tuple(Value(by_name[name]) for name in names)
    end = lead + close[0]
    return Template(
        b">", literals[0], tuple(literals[1:]), end, separator[0], values, forbidden=(b"&", *NO_CHARACTERS),
        counted=b"<",
    )  # fmt: skip


def _children(text: bytes, place: int) -> Iterator[re.Match[bytes]]:
    while child := _CHILD.match(text, place):
        yield child
        place = child.end()
