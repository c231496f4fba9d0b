"""A JSON document to records, by ijson: the container must be there, the document whole, the footer last."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial

import ijson
import pyarrow as pa

from flows_platform.domain.errors import ConfigurationError, SourceRefused, StreamIncomplete
from flows_platform.wire.casting import Slice
from flows_platform.wire.decode.arrow_lines import BLOCK, ArrowLines, by_arrow
from flows_platform.wire.decode.envelope import ErrorDocument, Event, JsonEnvelope
from flows_platform.wire.decode.footers import Declared, declared
from flows_platform.wire.decode.json_blocks import BUFFER, SLICE, JsonBlock, JsonCutter, brief, finished, not_json
from flows_platform.wire.decode.json_guard import Depths, JsonGuard, Marks
from flows_platform.wire.decode.json_keys import SentKeys, require_all
from flows_platform.wire.decode.source import RECORD_BYTES, SLICE_BYTES, ByteSource, MeteredReader
from flows_platform.wire.formats import COUNT, DIGEST, END
from flows_platform.wire.paths import RecordPath, single
from flows_platform.wire.raw_records import Records

# The footer as the document's last member: `],"end":{…}}` and nothing after. In a document that ijson found whole this
# cannot lie inside a string, since a string's quotes would be escaped.
FOOTER = re.compile(rb'"' + END.encode() + rb'"\s*:\s*(\{[^{}\[\]]*\})\s*\}\s*\Z')


class JsonDocument:
    """`{"…": [records], …, "end": {"count": N}}`; `path` leads to the array, as `records` or `result.items`.

    An empty path means that the document is the array. With `enveloped` what stands around the array is kept too, for
    about ijson's time once more. `errors` tells an error document. Where `total` leads to 0 the array may be missing.
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
        enveloped: bool = False,
        errors: ErrorDocument | None = None,
        total: RecordPath | None = None,
        blocks: bool = False,
        lines: ArrowLines | None = None,
    ) -> None:
        if ijson.backend_name != "yajl2_c":
            raise ConfigurationError(
                f"ijson runs on its {ijson.backend_name} backend, 12 to 20 times slower than yajl2_c.",
                remedy="Install the ijson wheel for this platform, which brings yajl2_c; check IJSON_BACKEND.",
            )
        self._path = path
        self._envelope = JsonEnvelope(path) if enveloped else None
        self._errors = errors
        self._total = total
        self._guard = _ContainerGuard(path, self._envelope)
        self._reader = MeteredReader(source, self._guard, record_bytes, BLOCK if lines else SLICE_BYTES)
        self._cutter: JsonCutter | None = None
        self._blocks = blocks and not enveloped
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
        except (ijson.JSONError, UnicodeDecodeError) as error:
            if self._reader.ended:
                raise StreamIncomplete(f"the JSON document ends early ({brief(error)}).") from error
            raise not_json(error) from error
        self._require_container()
        self._guard.require_whole(self._keys)
        self.declared = _footer(self._reader.tail)

    @property
    def envelope(self) -> Mapping[str, object]:
        """What stood around the array, where it was asked for."""
        return self._envelope.value if self._envelope else {}

    def _require_container(self) -> None:
        if error := self._errors and self._errors.error(None, self.envelope):
            raise error
        counted_none = self._total is not None and str(single(self._total.find(self.envelope))) == "0"
        if not self._guard.found and not counted_none:
            raise SourceRefused(
                f"the JSON document has no array at {self._path!r}.",
                remedy="Check the URL: this is not the stream of records it should be.",
            )

    def _records(self) -> Iterator[Records | JsonBlock]:
        part: Records = []
        for record in ijson.items(self._reader, f"{self._path}.item".lstrip("."), buf_size=BUFFER):
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
    """Looks for the array's start in the first chunks; ijson alone would take `{"error": …}` for no records."""

    def __init__(self, path: str, envelope: JsonEnvelope | None = None) -> None:
        super().__init__()
        self._path = path
        self._envelope = envelope
        self._openings = 0
        self.sent: SentKeys | None = None  # once the array was found
        self._early: list[tuple[Marks, Depths]] = []  # marks from before the array was found
        self._events: list[Event] = ijson.sendable_list()
        self._parser = ijson.parse_coro(self._events)

    @property
    def found(self) -> bool:
        """Whether the array was there."""
        return self.sent is not None

    @property
    def nested(self) -> bool:
        return self.sent is not None and self.sent.nested

    def admit(self, chunk: bytes) -> bytes:
        admitted = super().admit(chunk)
        if admitted and (self.sent is None or self._envelope):
            self._parser.send(admitted)
            if self._envelope:
                self._envelope.take(self._events)
            if self.sent is None:
                self._look()
            del self._events[:]
        return admitted

    def on_marks(self, marks: Marks, depths: Depths) -> None:
        if self.sent is None:
            self._early.append((marks, depths))
        else:
            self.sent.add(marks, depths)

    def _look(self) -> None:
        for prefix, event, _ in self._events:
            self._openings += event in {"start_map", "start_array"}
            if prefix == self._path and event == "start_array":
                self.sent = SentKeys(self._openings)
                for marks, depths in self._early:
                    self.sent.add(marks, depths)
                self._early.clear()
                break

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
