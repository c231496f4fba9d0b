"""Records that repeat one layout, read as columns without a parser; only records proven to repeat it are read.

One program writes a stream, so all records have the same bytes around their values as the first one. These bytes,
learned from one record, are the template. In a block of records, all positions of a mark (a byte or two) are found at
once, and the template's bytes are compared around them, eight at a time. The bytes between them are the values. If all
bytes of a block belong either to the template or to values that cannot be markup, a parser would give the same records.
In any other case there is no result, and the parser decides.

`json_templates` and `xml_template` learn the templates of JSON and XML.
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
import pyarrow.compute as pc

from flows_platform.columns.batches import ARROW_TYPES
from flows_platform.columns.cast_values import Misfit, cast_value
from flows_platform.domain.decimals import PLAIN
from flows_platform.domain.schema import Column, ColumnType

type Positions = npt.NDArray[np.int64]
type Octets = npt.NDArray[np.uint8]

WORD = 8  # bytes compared at once
NAME_END = b'":'  # cannot occur in a JSON text without escapes, although a colon can
LOOKED_AT = 20  # records that are searched for a template
MOST_FIELDS = 512
QUOTE, MINUS, ZERO, NINE = b'"'[0], b"-"[0], b"0"[0], b"9"[0]
BLANK = 32  # bytes below are control characters
NO_CHARACTERS = (b"\xef\xbf\xbe", b"\xef\xbf\xbf")  # U+FFFE and U+FFFF, which XML does not allow
NULL = b"null"
TEXTS = {ColumnType.STRING, ColumnType.TIMESTAMP, ColumnType.DATE}  # the types whose values JSON writes in quotes


@dataclass(frozen=True, slots=True)
class Value:
    """A field's value in a record: its column, and how it is written.

    A `quoted` value has quotes around it. They belong to the template, unless the value is `nullable` and may be `null`
    instead. Other values are `bare`, or a text of XML.
    """

    column: Column
    quoted: bool = False
    bare: bool = False
    nullable: bool = False


@dataclass(frozen=True)
class Template:
    """The bytes around the values of a record: `begin`, one of `between` after every value but the last, `end`.

    `separator` is between two records. A block must not contain the `forbidden` bytes, nor a value the `counted` ones.
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
        """The bytes between the last value of a record and the first value of the next one."""
        return self.end + self.separator + self.begin

    @cached_property
    def _marks(self) -> list[list[int]]:
        """The positions where marks end in `begin`, in the literals of `between`, and in `end`."""
        return [
            [found.end() - 1 for found in re.finditer(re.escape(self.mark), literal)]
            for literal in (self.begin, *self.between, self.end)
        ]

    @property
    def is_usable(self) -> bool:
        """Whether all literals but the end have a mark, and eight bytes before the second value are in the record."""
        shortest = len(self.begin) + min(map(len, self.between), default=len(self.boundary))
        return all(self._marks[:-1]) and shortest >= WORD and len(self.boundary) >= WORD

    def cut(self, text: bytes) -> int:
        """The end of the last record in `text` that another record follows; 0 if there is none."""
        found = text.rfind(self.boundary)
        return found + len(self.end) if found >= 0 else 0

    def read(self, text: bytes, longest: int) -> pa.RecordBatch | None:
        """The records of a text that begins and ends with a record; None if they are not proven.

        A record of more than `longest` bytes is never proven.
        """
        spans = self._spans(text)
        if spans is None or not self._are_texts(text, len(spans.starts)):
            return None
        if int((spans.stops[:, -1] - spans.starts[:, 0]).max()) > longest:
            return None
        octets = np.frombuffer(text, np.uint8)
        nulls: dict[int, npt.NDArray[np.bool_]] = {}
        quotes = 0
        for number, value in enumerate(self.values):
            if value.nullable:
                null = _unquoted(octets, spans, number, quoted=value.quoted)
                if null is None:
                    return None
                quotes += 2 * int(np.count_nonzero(~null)) if value.quoted else 0
                nulls[number] = null
        if not self._counts_agree(octets, len(spans.starts), quotes):
            return None
        return self._batch(text, octets, spans, nulls)

    def _spans(self, text: bytes) -> "_Spans | None":
        """Where the values are; None if the literals are not around them."""
        if len(text) < WORD:
            return None
        octets = np.frombuffer(text, np.uint8)
        width = sum(map(len, self._marks))
        marks = _marks_in(octets, self.mark)
        if not text.startswith(self.begin) or not text.endswith(self.end) or not len(marks) or len(marks) % width:
            return None
        positions = marks.reshape(-1, width)
        words = np.ndarray((len(text) - WORD + 1,), "<u8", text, strides=(1,))  # the word at every position
        begins = positions[:, 0] - self._marks[0][0]
        ends = np.append(begins[1:] - len(self.separator) - len(self.end), len(text) - len(self.end))
        if not _occurs_at(words, ends[:-1], self.boundary):
            return None
        literals = [begins]
        next_mark = len(self._marks[0])
        for literal, inner in zip(self.between, self._marks[1:-1], strict=True):
            literals.append(positions[:, next_mark] - inner[0])
            if not _occurs_at(words, literals[-1], literal):
                return None
            next_mark += len(inner)
        literals.append(ends)
        sizes = (len(self.begin), *map(len, self.between))
        starts = np.stack([at + size for at, size in zip(literals, sizes, strict=False)], axis=1)
        stops = np.stack(literals[1:], axis=1)
        # The literals do not overlap and have as many marks as the text: so there is no mark anywhere else.
        return None if (starts > stops).any() else _Spans(starts, stops)

    def _are_texts(self, text: bytes, rows: int) -> bool:
        """Whether the text is UTF-8 without forbidden bytes, and without control characters in values."""
        if any(bad in text for bad in self.forbidden):
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
        """Whether all `counted` bytes of the text are in the literals, or are quotes around nullable values."""
        literals = self.begin + b"".join(self.between) + self.end
        return all(
            np.count_nonzero(octets == byte)
            == rows * literals.count(byte) + (rows - 1) * self.separator.count(byte) + (quotes if byte == QUOTE else 0)
            for byte in self.counted
        )

    def _batch(
        self, text: bytes, octets: Octets, spans: "_Spans", nulls: Mapping[int, npt.NDArray[np.bool_]]
    ) -> pa.RecordBatch | None:
        rows, width = spans.starts.shape
        offsets = np.empty((rows, 2 * width), np.int32)
        offsets[:, 0::2], offsets[:, 1::2] = spans.starts, spans.stops
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(text)]
        pieces = pa.Array.from_buffers(pa.string(), 2 * rows * width - 1, buffers)
        arrays = []
        indices = np.arange(0, 2 * rows * width, 2 * width, dtype=np.int32)
        for number, value in enumerate(self.values):
            texts = pieces.take(_indices(indices + 2 * number, nulls.get(number)))
            sizes = spans.stops[:, number] - spans.starts[:, number]
            array = typed(value, texts, octets[spans.starts[:, number]], sizes)
            if array is None:
                return None
            arrays.append(array)
        return pa.RecordBatch.from_arrays(arrays, names=[value.column.name for value in self.values])


@dataclass(frozen=True, slots=True)
class _Spans:
    """Where the values are: one row per record, one column per value."""

    starts: Positions
    stops: Positions


def _marks_in(octets: Octets, mark: bytes) -> Positions:
    """The positions of the last byte of the mark, which has one or two bytes."""
    last = octets == mark[-1]
    if len(mark) > 1:
        last[1:] &= octets[:-1] == mark[0]
        last[0] = False
    return np.flatnonzero(last)


def _occurs_at(words: npt.NDArray[np.uint64], positions: Positions, literal: bytes) -> bool:
    """Whether the literal is at all of the ascending positions.

    For a literal shorter than a word, it compares the word that ends with the literal.
    """
    size = len(literal)
    if not len(positions):
        return True
    if int(positions[0]) + min(0, size - WORD) < 0 or int(positions[-1]) + max(0, size - WORD) >= len(words):
        return False
    if size < WORD:
        shift = 8 * (WORD - size)
        return bool((words[positions + (size - WORD)] >> np.uint64(shift) == int.from_bytes(literal, "little")).all())
    for start in (*range(0, size - WORD, WORD), size - WORD):
        if (words[positions + start] != int.from_bytes(literal[start : start + WORD], "little")).any():
            return False
    return True


def _unquoted(octets: Octets, spans: _Spans, number: int, *, quoted: bool) -> npt.NDArray[np.bool_] | None:
    """Which values of a column are `null`; None if a value should be quoted and is not.

    It moves the positions of the other values inside their quotes.
    """
    starts, stops = spans.starts[:, number], spans.stops[:, number]
    sizes = stops - starts
    null: npt.NDArray[np.bool_] = sizes == len(NULL)
    for index, letter in enumerate(NULL):
        null &= octets[np.minimum(starts + index, len(octets) - 1)] == letter
    if quoted:
        around = (sizes > 1) & (octets[starts] == QUOTE) & (octets[stops - 1] == QUOTE)
        if not (around | null).all():
            return None
        starts += around
        stops -= around
    return null


def _indices(indices: npt.NDArray[np.int32], null: npt.NDArray[np.bool_] | None) -> pa.Array:
    """The indices as an Arrow array, built from buffers: `pa.array` of a numpy array would import pandas (0.5 s)."""
    buffers: list[pa.Buffer | None] = [None, pa.py_buffer(np.ascontiguousarray(indices))]
    if null is not None and null.any():
        buffers[0] = pa.py_buffer(np.packbits(~null, bitorder="little"))
    return pa.Array.from_buffers(pa.int32(), len(indices), buffers)


def typed(value: Value, texts: pa.Array, first: Octets, sizes: Positions) -> pa.Array | None:
    """The values in the column's type, or as texts that casting will read; None if JSON would read them differently.

    Args:
        value: The field, and how it is written.
        texts: The values as texts.
        first: The first byte of every text; for an empty text, the byte after it.
        sizes: The texts' lengths in bytes.
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
    # guard: decimals of JSON without leading zeros
    if kind is ColumnType.NUMERIC and pc.all(pc.match_substring_regex(texts, rf"\A{PLAIN.pattern}\z")).as_py():
        return texts
    return _numbers(value.column, texts) if kind in {ColumnType.FLOAT64, ColumnType.NUMERIC} else None


def _are_integers(texts: pa.Array, first: Octets, sizes: Positions) -> bool:
    """Whether all texts may be integers: no plus sign, no leading zeros.

    Arrow's cast comes next. It refuses texts with other characters than digits after the first one, except `0x…`.
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
    """The numbers, every distinct one read and cast by the reference; None if it would reject one."""
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
    return pa.array(numbers, ARROW_TYPES[column.type]).take(encoded.indices)


_FIELD = re.compile(
    rb'([ \t\r\n]*"((?:[^"\\\x00-\x1f])*)"[ \t\r\n]*:[ \t\r\n]*)'
    rb'(?:"((?:[^"\\\x00-\x1f])*)"|(-?[0-9][0-9.eE+-]*|true|false)|(null))'
)
_NEXT = re.compile(rb"[ \t\r\n]*,")
_CLOSE = re.compile(rb"[ \t\r\n]*\}")
_SEPARATORS = {",": re.compile(rb"[ \t\r\n]*,[ \t\r\n]*(?=\{)"), "": re.compile(rb"\r?\n(?=\{)")}


@dataclass(slots=True)
class _Record:
    """A record as written: for every field the bytes before its value, its name, and the value's kind and text."""

    before: list[bytes] = field(default_factory=list)
    names: list[bytes] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)
    close: bytes = b""


def json_templates(text: bytes, columns: Sequence[Column], comma: str) -> list[Template]:
    """The templates of the first flat record of these columns in `text`; the likely ones come first.

    `comma` and white space separate the records; if `comma` is empty, a line end does.
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
    record, position, lead = _Record(), start + 1, b"{"
    while len(record.names) < MOST_FIELDS and (found := _FIELD.match(text, position)):
        before, name, quoted, bare, _ = found.groups()
        record.before.append(lead + before)
        record.names.append(name)
        record.kinds.append("quoted" if quoted is not None else "bare" if bare is not None else "null")
        record.texts.append(quoted or b"")
        position = found.end()
        if close := _CLOSE.match(text, position):
            record.close = close[0]
            return record, close.end()
        comma = _NEXT.match(text, position)
        if comma is None:
            return None
        lead, position = comma[0], comma.end()
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
    quoted = kind == "quoted" or (kind == "null" and column.type in TEXTS)
    return Value(column, quoted=quoted, bare=not quoted, nullable=column.nullable)


def _usable(record: _Record, separator: bytes, values: tuple[Value, ...], mark: bytes) -> Iterator[Template]:
    """The template with these values, unless one of its columns cannot have such a value."""
    if any(value.column.type is ColumnType.JSON for value in values):
        return  # a column of JSON keeps every digit of a number
    if any(value.bare and value.column.type in TEXTS for value in values):
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
    """The template of the first flat `record` of these columns in `text`; empty if there is none."""
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
    position, lead = start + len(opening), opening
    literals: list[bytes] = []
    names: list[bytes] = []
    for child in islice(_children(text, position), MOST_FIELDS):
        literals.append(lead + child[1])
        names.append(child[2])
        lead, position = child[4], child.end()
    closing = b"</" + opening[1:]
    close = re.compile(rb"[ \t\r\n]*" + re.escape(closing)).match(text, position)
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


def _children(text: bytes, position: int) -> Iterator[re.Match[bytes]]:
    while child := _CHILD.match(text, position):
        yield child
        position = child.end()
