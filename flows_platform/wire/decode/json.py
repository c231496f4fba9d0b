"""A JSON document to records, by ijson: the container must be there, the document whole, the footer last."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial

import ijson
import numpy as np
import pyarrow as pa

from flows_platform.domain.errors import ConfigurationError, SourceRefused, StreamIncomplete
from flows_platform.wire.casting import Slice
from flows_platform.wire.decode.arrow_lines import BLOCK, ArrowLines, by_arrow
from flows_platform.wire.decode.characters import invalid_in_json
from flows_platform.wire.decode.envelope import ErrorDocument, Event, JsonEnvelope
from flows_platform.wire.decode.footers import Declared, declared
from flows_platform.wire.decode.json_blocks import (
    BUFFER,
    NOT_JSON,
    SLICE,
    JsonBlock,
    JsonCutter,
    brief,
    finished,
    not_json,
)
from flows_platform.wire.decode.json_guard import Depths, JsonGuard, Marks
from flows_platform.wire.decode.json_keys import OPENING, SentKeys, require_all
from flows_platform.wire.decode.source import RECORD_BYTES, SLICE_BYTES, ByteSource, MeteredReader
from flows_platform.wire.formats import COUNT, DIGEST, END
from flows_platform.wire.paths import RecordPath, single
from flows_platform.wire.raw_records import Records

# The footer as the document's last member: `],"end":{…}}` and nothing after. In a document that ijson found whole this
# cannot lie inside a string, since a string's quotes would be escaped.
THERE = {"missing": "the member is missing", "null": "null stands there"}
KINDS = {dict: "an object", list: "an array of another place", str: "a text", bool: "a truth value"}
FOOTER = re.compile(rb'"' + END.encode() + rb'"\s*:\s*(\{[^{}\[\]]*\})\s*\}\s*\Z')


class JsonDocument:
    """`{"…": [records], …, "end": {"count": N}}`; `path` leads to the array, as `records` or `result.items`.

    An empty path means that the document is the array. What stands around the array is kept. `errors` tells an error
    document. Where `total` leads to 0 the array may be missing or null, and so it may be where `nothing` says so.
    With `blocks` most of the document is given as blocks of records, not decoded yet; with `lines` they are read by
    these, ahead and in other threads.
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
        blocks: bool = False,
        lines: ArrowLines | None = None,
    ) -> None:
        if ijson.backend_name != "yajl2_c":
            raise ConfigurationError(
                f"ijson runs on its {ijson.backend_name} backend, 12 to 20 times slower than yajl2_c.",
                remedy="Install the ijson wheel for this platform, which brings yajl2_c; check IJSON_BACKEND.",
            )
        self._path = RecordPath.parse(path) if path else None
        names = self._path.names if self._path else ()
        self._prefix = ".".join(names)
        self._errors = errors
        self._total = total
        self._nothing = nothing
        self._guard = _ContainerGuard(names)
        self._reader = MeteredReader(source, self._guard, record_bytes, BLOCK if lines else SLICE_BYTES)
        self._cutter: JsonCutter | None = None
        self._blocks = blocks
        self._lines = lines
        self._keys = 0
        self.declared: Declared | None = None

    def slices(self) -> Iterator[Slice | JsonBlock]:
        """Lists of at most 256 records, and blocks of them or batches.

        Raises:
            StreamIncomplete: the document ends before its end.
            SourceRefused: it is not JSON, has no array at the path, or is made to harm its reader.
        """
        try:
            if self._lines is None:
                yield from self._records()
            else:
                yield from by_arrow(self._records(), partial(_batch, self._lines), _by_reference)
        except NOT_JSON as error:
            if self._reader.ended and not invalid_in_json(str(error)):
                raise StreamIncomplete(f"the JSON document ends early ({brief(error)}).") from error
            raise not_json(error) from error
        self._guard.end()
        if told := self._errors and self._errors.error(None, self.envelope):
            raise told
        if not self._guard.found:
            self._require_nothing()
        self._guard.require_whole(self._keys)
        self.declared = _footer(self._reader.tail)

    @property
    def envelope(self) -> Mapping[str, object]:
        """What stood around the array."""
        return self._guard.envelope.value

    def _require_nothing(self) -> None:
        """Without the array the document may be an answer that means no records."""
        counted_none = self._total is not None and str(single(self._total.find(self.envelope))) == "0"
        there = self._instead()
        if there in {"missing", "null"} and (counted_none or there in self._nothing):
            return
        named = self._path.text if self._path else ""
        raise SourceRefused(
            f"the JSON document has no array at {named!r}: {THERE.get(there, there)}.",
            remedy="Check the URL and `records`; where such an answer means that there are no records, say so in "
            f"`nothing: [{there}]`."
            if there in THERE
            else "Check the URL and `records`: this is not the stream of records it should be.",
        )

    def _instead(self) -> str:
        """What stands where the array should: missing, null, or another kind of value in words."""
        value = self._guard.envelope.root
        for name in self._path.names if self._path else ():
            if isinstance(value, dict) and name not in value:
                return "missing"
            if value is None:
                break
            value = value.get(name) if isinstance(value, dict) else value
        return "null" if value is None else f"{KINDS.get(type(value), 'a number')} stands there"

    def _records(self) -> Iterator[Records | JsonBlock]:
        part: Records = []
        for record in ijson.items(self._reader, f"{self._prefix}.item".lstrip("."), buf_size=BUFFER):
            part.append(record)
            block = self._cutter and self._cutter.taken()
            if block or len(part) == SLICE or self._reader.pending > SLICE_BYTES:
                yield self._finished(part)
                self._reader.release()
                part = []
                if block:
                    yield block
                elif self._blocks:
                    self._start_to_cut()
        if part:
            yield self._finished(part)

    def _start_to_cut(self) -> None:
        if self._cutter is None and self._guard.sent is not None:
            self._cutter = self._reader.cutter = JsonCutter(self._guard, self._guard.sent)

    def _finished(self, part: Records) -> Records:
        records, keys = finished(part, self._guard.surrogates, nested=self._guard.nested)
        self._keys += keys
        return records


class _ContainerGuard(JsonGuard):
    """Looks for the array's start, and keeps what stands around it; ijson alone finds no records in `{"error": …}`.

    What stands inside the array is left to the reader of records: the envelope's parser gets an empty one.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self._names = names
        self._prefix = ".".join(names)
        self._key: Event = ("", "map_key", "")  # the last that was met
        self._openings = 0  # brackets before this piece
        self._opened: list[Event] = ijson.sendable_list()
        self._look = ijson.parse_coro(self._opened)
        self._events: list[Event] = ijson.sendable_list()
        self._parser = ijson.parse_coro(self._events)
        self._closed = False  # the array was read, and what follows it is the envelope's
        self.envelope = JsonEnvelope()
        self.sent: SentKeys | None = None  # once the array was found
        self._early: list[tuple[Marks, Depths]] = []  # marks from before the array was found

    @property
    def found(self) -> bool:
        """Whether the array was there."""
        return self.sent is not None

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
        """The document was read whole: another parser found its end."""
        self._parser.close()
        self.envelope.take(self._events)
        del self._events[:]

    def on_marks(self, marks: Marks, depths: Depths) -> None:
        if self.sent is None:
            self._early.append((marks, depths))
        else:
            self.sent.add(marks, depths)

    def _follow(self, piece: bytes) -> None:
        """Give the envelope's parser what of the piece lies outside the array."""
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
            self._keep(piece[: self.places(piece, opening)[0] + 1])
        if self.sent is not None and self.sent.closed:
            self._closed = True
            closing = opening + 1 + int(np.argmax(self.look.depths[opening + 1 :] < self.sent.depth))
            self._keep(piece[self.places(piece, closing)[0] :])

    def _found_in(self, piece: bytes) -> int | None:
        """Which of the piece's marks opens the array."""
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
        """A name with a point is not two names: the last one that was met must be the path's last."""
        if not self._names:
            return self._openings + openings == 0
        return event[0] == self._prefix and self._key[2] == self._names[-1]

    def _keep(self, piece: bytes) -> None:
        self._parser.send(piece)
        self.envelope.take(self._events)
        del self._events[:]

    def require_whole(self, keys: int) -> None:
        """At the end: the records have all the keys that were sent.

        Raises:
            SourceRefused: they have not.
        """
        if self.sent is not None:
            require_all(self.sent.count, keys)


def _batch(lines: ArrowLines, part: Records | JsonBlock) -> pa.RecordBatch | None:
    return part.batch(lines) if isinstance(part, JsonBlock) else None


def _by_reference(part: Records | JsonBlock) -> Iterable[Records]:
    return part.slices() if isinstance(part, JsonBlock) else [part]


def _footer(tail: bytes) -> Declared | None:
    match = FOOTER.search(tail)
    members = json.loads(match[1]) if match else {}
    return declared(members.get(COUNT), members.get(DIGEST))
