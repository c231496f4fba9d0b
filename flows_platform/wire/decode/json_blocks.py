"""Blocks of whole records, cut out of a JSON document's bytes: each is decoded by itself, in any process.

`[{…},{…},{…}]` without `,{…},{…}` is as much JSON as with it, so the document's parser never misses what was cut.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import InvalidOperation
from itertools import batched
from operator import itemgetter
from typing import Any, cast

import ijson
import numpy as np
import pyarrow as pa

from flows_platform.domain.errors import MalformedDocument, SourceRefused
from flows_platform.domain.schema import Column, ColumnType
from flows_platform.wire.casting import NotFlatError, Rows
from flows_platform.wire.decode.arrow_lines import ArrowLines
from flows_platform.wire.decode.characters import invalid_in_json
from flows_platform.wire.decode.json_guard import BLANK, Depths, JsonGuard, Surrogates
from flows_platform.wire.decode.json_keys import COLON, SentKeys, keys_in, require_all
from flows_platform.wire.raw_records import Records, Unreadable, json_text

SLICE = 256  # records a slice: with the texts of their keys they stay in the processor's cache
BUFFER = 1 << 15  # bytes: likewise, with what the guard makes of them; 256 KB take a sixth longer
SHOWN = 120  # characters of the parser's own words
# Decimal has no exponents of 19 digits.
NOT_JSON = (ijson.JSONError, UnicodeDecodeError, InvalidOperation)
OBJECT_END = ord("}")
BY_DIGITS = {ColumnType.FLOAT64, ColumnType.JSON}  # whether such a column holds a number depends on each digit of it


@dataclass(frozen=True, slots=True)
class JsonBlock:
    """`{…},{…}`: records whole, in which `keys` were sent. Where records are `nested`, all levels' keys are counted.

    `surrogates` is set where some text may hold a half of a pair.
    """

    content: bytes
    keys: int
    nested: bool
    surrogates: Surrogates | None

    def slices(self) -> Iterator[Records]:
        """Lists of at most 256 records.

        Raises:
            MalformedDocument: it is not JSON.
            SourceRefused: keys repeat.
        """
        keys = 0
        with _refusing_what_is_not_json():
            for part in batched(self._items(), SLICE, strict=False):
                records, distinct = finished(list(part), self.surrogates, nested=self.nested)
                keys += distinct
                yield records
        require_all(self.keys, keys)

    def flat(self, columns: Sequence[Column]) -> Rows:
        """All of them where each has these fields and no other: without a mapping kept for each, a fifth faster.

        Where no column is of numbers by their digits, those with a point come as floats: it makes integers a tenth
        faster.

        Raises:
            NotFlatError: they have others, or `slices` has to mend or complain.
            MalformedDocument: it is not JSON.
        """
        names = tuple(column.name for column in columns)
        exact = any(column.type in BY_DIGITS for column in columns)
        if self.nested or self.surrogates or len(names) < 2:  # noqa: PLR2004 - one would come without a tuple
            raise NotFlatError
        try:
            with _refusing_what_is_not_json():
                rows = list(map(itemgetter(*names), self._items(exact=exact)))
        except (KeyError, TypeError) as error:  # a field is missing; it is no object at all
            raise NotFlatError from error
        # Each record has all of them, so where these are all the keys that were sent, each has no other and none twice.
        if len(rows) * len(names) != self.keys:
            raise NotFlatError
        return Rows(names, rows, exact)

    def batch(self, lines: ArrowLines) -> pa.RecordBatch | None:
        """All of them by Arrow; None where it is not certain that `slices` would give the same."""
        if self.nested or self.surrogates:
            return None
        records = self.content.count(b"},") + 1
        # As in `flat`; and Arrow would give a field that is missing as NULL.
        if records * lines.columns != self.keys:
            return None
        # Between flat records a brace is followed by a comma, which Arrow does not take. Where the two stand in a text,
        # they make a line end there, which it does not take either.
        batch = lines.read(self.content.replace(b"},", b"}\n"))
        # Where it gives more than that, some have no comma between them.
        return batch if batch is not None and batch.num_rows == records else None

    def _items(self, *, exact: bool = True) -> Iterator[Any]:
        document = io.BytesIO(b"[" + self.content + b"]")
        items: Iterator[Any] = ijson.items(document, "item", buf_size=BUFFER, use_float=not exact)
        return items


@dataclass(slots=True)
class JsonCutter:
    """Cuts a block from one record's end to another's. The record before it stays, and so does what follows it."""

    guard: JsonGuard  # has just looked at the piece that is to be cut
    sent: SentKeys  # likewise
    _block: JsonBlock | None = None
    _rest: bytes = b""  # what followed a block: begins where a record ended

    def cut(self, piece: bytes) -> bytes:
        ends = self._ends()
        before, text, self._rest = len(self._rest), self._rest + piece, b""
        if len(ends) < 2:  # noqa: PLR2004 - a block has two ends
            return text
        first, last = (before + place + 1 for place in self.guard.places(piece, int(ends[0]), int(ends[-1])))
        block = text[first:last].lstrip(BLANK)
        if not block.startswith(b","):
            return text  # the parser says what is wrong
        self._block = self._made(block[1:], int(ends[0]), int(ends[-1]))
        self._rest = text[last:]
        return text[:first]

    def finish(self) -> bytes:
        rest, self._rest = self._rest, b""
        return rest

    def taken(self) -> JsonBlock | None:
        """The block that follows the records so far, once."""
        block, self._block = self._block, None
        return block

    def _ends(self) -> Depths:
        """Those of the piece's marks that end a record."""
        look = self.guard.look
        return np.flatnonzero((look.depths == self.sent.depth) & (look.marks == OBJECT_END) & (not self.sent.closed))

    def _made(self, content: bytes, first: int, last: int) -> JsonBlock:
        keys = int(np.count_nonzero(self.guard.look.marks[first:last] == COLON))
        self.sent.count -= keys  # the block answers for them
        surrogates = self.guard.surrogates
        return JsonBlock(content, keys, self.sent.nested, surrogates if surrogates.seen else None)


def finished(part: Records, surrogates: Surrogates | None, *, nested: bool) -> tuple[Records, int]:
    """Records as ijson gave them, mended, and how many keys they have; what is no object is unreadable."""
    keys = sum(map(keys_in, part)) if nested else _flat_keys(part)
    if surrogates and surrogates.seen:
        part = [cast("dict[str, object]", surrogates.restore(each)) for each in part]
    return part if set(map(type, part)) == {dict} else [_record(each) for each in part], keys


@contextmanager
def _refusing_what_is_not_json() -> Iterator[None]:
    try:
        yield
    except NOT_JSON as error:
        raise not_json(error) from error


def not_json(error: Exception) -> SourceRefused | MalformedDocument:
    """What ijson found, as an error of ours."""
    if isinstance(error, InvalidOperation):  # JSON, but ijson does not say which record the number is in
        return SourceRefused("the JSON answer has a number whose exponent is beyond 10^18, which no column holds.")
    return invalid_in_json(str(error)) or MalformedDocument(f"the answer is not valid JSON ({brief(error)}).")


def brief(error: Exception) -> str:
    """The parser's own words, shortened."""
    return " ".join(str(error).split())[:SHOWN]


def _flat_keys(part: Records) -> int:
    try:
        return sum(map(dict.__len__, part))  # type: ignore[arg-type]  # what is no record raises
    except TypeError:
        return sum(map(keys_in, part))


def _record(value: object) -> dict[str, object] | Unreadable:
    return value if isinstance(value, dict) else Unreadable("not a JSON object", json_text(value).encode())
