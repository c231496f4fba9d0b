"""Reads records from a JSON document with ijson: the array must be there, the document complete, the footer last."""

import json
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import suppress
from decimal import InvalidOperation
from types import coroutine
from typing import cast

import ijson
import numpy as np

from flows_platform.columns.casting import Slice
from flows_platform.columns.paths import RecordPath, single
from flows_platform.columns.raw_records import Records, Unreadable, json_text
from flows_platform.domain.errors import ConfigurationError, MalformedDocument, SourceRefused, StreamIncomplete
from flows_platform.formats.json.guard import Depths, JsonGuard, Marks
from flows_platform.formats.json.keys import OPENING, SentKeys, keys_in, require_all
from flows_platform.formats.protocol.characters import invalid_in_json
from flows_platform.formats.protocol.envelope import DeclaredTotal, ErrorDocument, Event, JsonEnvelope, declared
from flows_platform.formats.protocol.metered_reader import RECORD_BYTES, SLICE_BYTES, ByteSource, Meter
from flows_platform.formats.protocol.names import COUNT, DIGEST, END
from flows_platform.formats.templates.blocks import Flat, TemplateReader, parsed, proven
from flows_platform.formats.templates.template import json_templates

THERE = {"missing": "the member is missing", "null": "the value is null"}
KINDS = {dict: "an object", list: "an array at another path", str: "a text", bool: "a truth value"}
SLICE = 256  # records per slice: with the texts of their keys they stay in the processor's cache
BUFFER = 1 << 15  # bytes: with the guard's arrays they stay in the cache too; 256 KB take a sixth longer
SHOWN = 120  # characters of the parser's message
# Decimal cannot hold exponents of 19 digits.
# guard: numbers beyond decimals in JSON
NOT_JSON = (ijson.JSONError, UnicodeDecodeError, InvalidOperation)
# The footer as the document's last member: `],"end":{…}}` with nothing after it. In a document that ijson has read to
# its end, this cannot be inside a string, where its quotes would be escaped.
FOOTER = re.compile(rb'"' + END.encode() + rb'"\s*:\s*(\{[^{}\[\]]*\})\s*\}\s*\Z')


class JsonDocument:
    """`{"…": [records], …, "end": {"count": N}}`; `path` leads to the array, such as `records` or `result.items`.

    With an empty path, the document itself is the array. The envelope around the array is kept. `errors` recognizes an
    error document. The array may be missing or null if the value at `total` is 0, or if `nothing` allows it. With
    `one_record`, an object in its stead is one record. With `template`, templates read records of exactly its columns,
    where they are proven to be right.
    """

    enclosed = True

    def __init__(
        self,
        source: ByteSource,
        path: str,
        record_bytes: int = RECORD_BYTES,
        *,
        errors: ErrorDocument | None = None,
        total: RecordPath | None = None,
        nothing: frozenset[str] = frozenset(),
        one_record: bool = False,
        template: Flat | None = None,
    ) -> None:
        if ijson.backend_name != "yajl2_c":
            raise ConfigurationError(
                f"ijson uses its {ijson.backend_name} backend, which is 12 to 20 times slower than yajl2_c.",
                remedy="Install the ijson wheel for this platform, which includes yajl2_c; check IJSON_BACKEND.",
            )
        self._path = RecordPath.parse(path) if path else None
        names = self._path.names if self._path else ()
        self._prefix = ".".join(names)
        self._errors = errors
        self._total = total
        self._nothing = nothing
        self._one_record = one_record
        self._guard = _ContainerGuard(names)
        self._source = source
        self._meter = Meter(self._guard, record_bytes)
        self._parser = _Items(f"{self._prefix}.item".lstrip("."))
        self._found: Records = []
        self._reader: TemplateReader | None = None
        if template:
            columns = template.columns
            self._reader = TemplateReader(lambda text: json_templates(text, columns, comma=","), template, b"}")
        self._keys = 0
        self.declared: DeclaredTotal | None = None

    def slices(self) -> Iterator[Slice]:
        """Lists of at most 256 records, or batches.

        Raises:
            StreamIncomplete: the document is cut.
            MalformedDocument: it is not JSON.
            SourceRefused: it has no array at the path, is an error document, or would harm the parser.
        """
        try:
            if self._reader:
                yield from proven(self._source, self, self._reader)
            else:
                yield from parsed(self._source, self)
        except NOT_JSON as error:
            if self._meter.ended and not invalid_in_json(str(error)):
                raise StreamIncomplete(f"the JSON document ends early ({_brief(error)}).") from error
            raise _not_json(error) from error
        self._guard.end()
        # guard: error documents with status 200
        if error_document := self._errors and self._errors.error(None, self.envelope):
            raise error_document
        if self._guard.found:
            self._guard.require_whole(self._keys, self._reader.values if self._reader else 0)
            self.declared = _footer(self._meter.tail)
        elif record := self._object():
            yield self._finished([record])
        else:
            self._require_nothing()

    @property
    def envelope(self) -> Mapping[str, object]:
        """The document around the array."""
        return self._guard.envelope.value

    def _require_nothing(self) -> None:
        """Refuse a document without the array, unless it is an answer that means no records."""
        counted_none = self._total is not None and str(single(self._total.find(self.envelope))) == "0"
        there = self._instead()
        # guard: another value than an array never means nothing
        if there in {"missing", "null"} and (counted_none or there in self._nothing):
            return
        named = self._path.text if self._path else ""
        raise SourceRefused(
            f"the JSON document has no array at {named!r}: {THERE.get(there, there)}.",
            remedy="Check the URL and `records`; if such an answer means that there are no records, declare "
            f"`nothing: [{there}]`."
            if there in THERE
            else "Check the URL and `records`: this is not the expected stream of records.",
        )

    def _object(self) -> dict[str, object] | None:
        """The one record that is there instead of the array, where that is allowed."""
        value: object = self._guard.envelope.root if self._one_record else None
        for name in self._path.names if self._path else ():
            value = value.get(name) if isinstance(value, dict) else None
        return value if isinstance(value, dict) else None

    def _instead(self) -> str:
        """What is at the array's path instead: `missing`, `null`, or a text about another kind of value."""
        value = self._guard.envelope.root
        for name in self._path.names if self._path else ():
            if isinstance(value, dict) and name not in value:
                return "missing"
            if value is None:
                break
            value = value.get(name) if isinstance(value, dict) else value
        return "null" if value is None else f"the value is {KINDS.get(type(value), 'a number')}"

    def feed(self, text: bytes, more: Callable[[], bytes]) -> Iterator[Records]:  # noqa: ARG002 - CSV uses it
        for start in range(0, len(text), BUFFER):
            if admitted := self._meter.admit(text[start : start + BUFFER]):
                self._parser.send(admitted)
            yield from self._taken()

    def is_between_records(self) -> bool:
        return self._guard.is_between_records

    def flush(self) -> Iterator[Records]:
        if self._found:
            records, self._found = self._found, []
            yield self._finished(records)
            self._meter.release()

    def finish(self, text: bytes) -> Iterator[Records]:
        yield from self.feed(text, bytes)
        if admitted := self._meter.finish():
            self._parser.send(admitted)
        self._parser.close()
        yield from self._taken()
        yield from self.flush()

    def _taken(self) -> Iterator[Records]:
        """Slices of the records that the parser has found so far."""
        if self._guard.found:  # the parser also finds the elements of `item`, in an object instead of the array
            self._found += cast("Records", self._parser.found)
        self._parser.found.clear()
        while len(self._found) >= SLICE:
            records, self._found = self._found[:SLICE], self._found[SLICE:]
            yield self._finished(records)
            self._meter.release()
        if self._meter.pending > SLICE_BYTES:
            yield from self.flush()

    def _finished(self, records: Records) -> Records:
        """The values with their half surrogates restored; a value that is not an object is unreadable."""
        self._keys += sum(map(keys_in, records)) if self._guard.nested else _flat_keys(records)
        if self._guard.surrogates.seen:
            records = [cast("dict[str, object]", self._guard.surrogates.restore(record)) for record in records]
        return records if set(map(type, records)) == {dict} else [_record(record) for record in records]


class _Items:
    """Collects the items that ijson finds at `prefix` in pieces of a document.

    It drives ijson's reader of asynchronous files by hand: ijson's own coroutines for pieces take three times as long.
    """

    def __init__(self, prefix: str) -> None:
        self.found: list[object] = []
        self._piece: bytes | None = None
        self._run = self._find(prefix)
        self._run.send(None)  # run up to the wait for the first piece

    def send(self, piece: bytes) -> None:
        """Parse the next piece, of at least one byte."""
        self._piece = piece
        while self._piece is not None:
            self._run.send(None)

    def close(self) -> None:
        """End the document; ijson raises an error if it is incomplete."""
        self._piece = b""
        with suppress(StopIteration):
            while True:
                self._run.send(None)

    async def _find(self, prefix: str) -> None:
        async for item in ijson.items_async(self, prefix, buf_size=BUFFER):
            self.found.append(item)

    async def read(self, size: int) -> bytes:
        """The next piece, as a file returns it. ijson first reads 0 bytes, to see whether it gets bytes or text."""
        return await self._given() if size else b""

    @coroutine
    def _given(self) -> Generator[None, None, bytes]:
        while self._piece is None:
            yield
        piece, self._piece = self._piece, None
        return piece


class _ContainerGuard(JsonGuard):
    """Finds the array and keeps the envelope around it: by itself, ijson finds zero records in `{"error": …}`.

    The records' parser reads the inside of the array; the envelope's parser gets an empty array.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self._names = names
        self._prefix = ".".join(names)
        self._key: Event = ("", "map_key", "")  # the last key so far
        self._openings = 0  # brackets before this piece
        self._opened: list[Event] = ijson.sendable_list()
        self._look = ijson.parse_coro(self._opened)
        self._events: list[Event] = ijson.sendable_list()
        self._parser = ijson.parse_coro(self._events)
        self._closed = False  # whether the array has ended, so that the rest is envelope
        self.envelope = JsonEnvelope()
        self.sent: SentKeys | None = None  # once the array was found
        self._early: list[tuple[Marks, Depths]] = []  # marks from before the array was found

    @property
    def found(self) -> bool:
        """Whether the array has been found."""
        return self.sent is not None

    @property
    def is_between_records(self) -> bool:
        """Whether the last piece ends with a record of the array, and the array goes on."""
        sent = self.sent
        return sent is not None and not sent.closed and self.ends_at(sent.depth)

    @property
    def nested(self) -> bool:
        return self.sent is not None and self.sent.nested

    def admit(self, chunk: bytes) -> bytes:
        admitted = super().admit(chunk)
        if admitted:
            self._follow(admitted)
        return admitted

    def finish(self) -> bytes:
        admitted = super().finish()
        if admitted and (self.sent is None or self._closed):
            self._keep(admitted)
        return admitted

    def end(self) -> None:
        """End the envelope, once the records' parser has found the document's end."""
        self._parser.close()
        self.envelope.take(self._events)
        del self._events[:]

    def on_marks(self, marks: Marks, depths: Depths) -> None:
        if self.sent is None:
            self._early.append((marks, depths))
        else:
            self.sent.add(marks, depths)

    def _follow(self, piece: bytes) -> None:
        """Give the envelope's parser the bytes of the piece that are outside the array."""
        if self._closed:
            self._keep(piece)
            return
        opening = -1
        if self.sent is None:
            found = self._found_in(piece)
            if found is None:
                self._keep(piece)
                return
            opening = found
            self._keep(piece[: self.positions(piece, opening)[0] + 1])
        if self.sent is not None and self.sent.closed:
            self._closed = True
            closing = opening + 1 + int(np.argmax(self.look.depths[opening + 1 :] < self.sent.depth))
            self._keep(piece[self.positions(piece, closing)[0] :])

    def _found_in(self, piece: bytes) -> int | None:
        """The index of the piece's mark that opens the array; None if the array does not start in the piece."""
        self._look.send(piece)
        openings = 0
        for event in self._opened:
            if event[1] == "start_array" and self._is_array(event, openings):
                self.sent = SentKeys(self._openings + openings + 1)
                for marks, depths in self._early:
                    self.sent.add(marks, depths)
                self._early.clear()
                return int(np.flatnonzero(np.isin(self.look.marks, OPENING))[openings])
            openings += event[1] in {"start_map", "start_array"}
            self._key = event if event[1] == "map_key" else self._key
        self._openings += openings
        del self._opened[:]
        return None

    def _is_array(self, event: Event, openings: int) -> bool:
        """Whether the array is the one at the path. A name with a dot is not two names, so the last key must match."""
        if not self._names:
            return self._openings + openings == 0
        return event[0] == self._prefix and self._key[2] == self._names[-1]

    def _keep(self, piece: bytes) -> None:
        self._parser.send(piece)
        self.envelope.take(self._events)
        del self._events[:]

    def require_whole(self, keys: int, more: int) -> None:
        """At the end, check that the records have all keys that were sent.

        Args:
            keys: The number of keys in the decoded records.
            more: The number of keys in the blocks that templates read and proved.

        Raises:
            SourceRefused: keys are missing.
        """
        if self.sent is not None:
            require_all(self.sent.count + more, keys + more)


def _not_json(error: Exception) -> SourceRefused | MalformedDocument:
    """The platform's error for one of ijson's."""
    if isinstance(error, InvalidOperation):  # the document is JSON, but ijson does not say which record has the number
        return SourceRefused("the JSON answer has a number whose exponent is beyond 10^18: no column type can hold it.")
    return invalid_in_json(str(error)) or MalformedDocument(f"the answer is not valid JSON ({_brief(error)}).")


def _brief(error: Exception) -> str:
    """The parser's message, shortened."""
    return " ".join(str(error).split())[:SHOWN]


def _flat_keys(records: Records) -> int:
    try:
        return sum(map(dict.__len__, records))  # type: ignore[arg-type]  # a value that is not an object raises
    except TypeError:
        return sum(map(keys_in, records))


def _record(value: object) -> dict[str, object] | Unreadable:
    return value if isinstance(value, dict) else Unreadable("not a JSON object", json_text(value).encode())


def _footer(tail: bytes) -> DeclaredTotal | None:
    match = FOOTER.search(tail)
    members = json.loads(match[1]) if match else {}
    return declared(members.get(COUNT), members.get(DIGEST))
