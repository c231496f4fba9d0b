"""Reads records from a JSON document with ijson: the array must be there, the document complete, the footer last."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import InvalidOperation
from typing import cast

import ijson

from flows_platform.columns.casting import Slice
from flows_platform.columns.paths import RecordPath, single
from flows_platform.columns.raw_records import Records, as_object
from flows_platform.domain.errors import ConfigurationError, MalformedDocument, SourceRefused, StreamIncomplete
from flows_platform.formats.json.arrays import NamedArrays
from flows_platform.formats.json.container import ARRAY, OBJECT, ContainerGuard
from flows_platform.formats.json.items import BUFFER, Items
from flows_platform.formats.json.keys import keys_in
from flows_platform.formats.json.members import Members
from flows_platform.formats.json.steps import steps_to
from flows_platform.formats.protocol.characters import invalid_in_json
from flows_platform.formats.protocol.envelope import DeclaredTotal, ErrorDocument, declared
from flows_platform.formats.protocol.metered_reader import RECORD_BYTES, SLICE_BYTES, ByteSource, Meter
from flows_platform.formats.protocol.names import COUNT, DIGEST, END
from flows_platform.formats.templates.blocks import Flat, TemplateReader, parsed, proven
from flows_platform.formats.templates.template import json_templates

MISSING = object()
THERE = {"missing": "the member is missing", "null": "the value is null"}
KINDS = {dict: "an object", list: "an array", str: "a text", bool: "a truth value"}
SLICE = 256  # records per slice: with the texts of their keys they stay in the processor's cache
SHOWN = 120  # characters of the parser's message
# Decimal cannot hold exponents of 19 digits.
# guard: numbers beyond decimals in JSON
NOT_JSON = (ijson.JSONError, UnicodeDecodeError, InvalidOperation)
# The footer as the document's last member: `],"end":{…}}` with nothing after it. In a document that ijson has read to
# its end, this cannot be inside a string, where its quotes would be escaped.
FOOTER = re.compile(rb'"' + END.encode() + rb'"\s*:\s*(\{[^{}\[\]]*\})\s*\}\s*\Z')


class JsonDocument:
    """`{"…": [records], …, "end": {"count": N}}`; `path` leads to the array, such as `records` or `result[0].items`.

    With an empty path, the document itself is the array. The envelope around the array is kept. `errors` recognizes an
    error document. The array may be missing or null if the value at `total` is 0, or if `nothing` allows it. With
    `one_record`, an object in its stead is one record. With `arrays`, the records, or rows in them, are arrays of
    values by position. With `members`, the records are the members of an object instead of an array. With `template`,
    templates read records of exactly its columns, where they are proven to be right; they read neither of those two.
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
        arrays: NamedArrays | None = None,
        members: Members | None = None,
        template: Flat | None = None,
    ) -> None:
        if ijson.backend_name != "yajl2_c":
            raise ConfigurationError(
                f"ijson uses its {ijson.backend_name} backend, which is 12 to 20 times slower than yajl2_c.",
                remedy="Install the ijson wheel for this platform, which includes yajl2_c; check IJSON_BACKEND.",
            )
        self._path = path
        self._steps = steps_to(path)
        self._errors = errors
        self._total = total
        self._nothing = nothing
        self._one_record = one_record
        self._arrays = arrays
        self._members = members
        begin = arrays.begin if arrays else None
        self._guard = ContainerGuard(self._steps, OBJECT if members else ARRAY, begin)
        self._source = source
        self._meter = Meter(self._guard, record_bytes)
        self._parser = Items(members=members is not None)
        self._found: list[object] = []
        self._reader: TemplateReader | None = None
        if template and not (arrays or members):
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
            self._guard.end()
        except NOT_JSON as error:
            if self._meter.ended and not invalid_in_json(str(error)):
                raise StreamIncomplete(f"the JSON document ends early ({_brief(error)}).") from error
            raise _not_json(error) from error
        # guard: error documents with status 200
        if error_document := self._errors and self._errors.error(None, self.envelope):
            raise error_document
        if self._guard.found:
            self._guard.require_whole(self._keys, self._reader.values if self._reader else 0)
            if self._arrays:
                self._arrays.require_same(self.envelope)
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
        value, _ = self._instead()
        there = "missing" if value is MISSING else "null" if value is None else ""
        # guard: another value than an array never means nothing
        if there and (counted_none or there in self._nothing):
            return
        if self._members and value == []:  # an object without members, as PHP writes it
            return
        remedy = "Check the URL and `records`: this is not the expected stream of records."
        if there:
            remedy = "Check the URL and `records`; if such an answer means that there are no records, declare "
            remedy += f"`nothing: [{there}]`."
        elif isinstance(value, dict):
            remedy = "Check the URL and `records`; if the members of the object are the records, declare `record_key`."
        raise SourceRefused(
            f"the JSON document has no {'object' if self._members else 'array'} at {self._path!r}: "
            f"{THERE.get(there) or f'the value is {KINDS.get(type(value), "a number")}'}.",
            remedy=remedy,
        )

    def _object(self) -> dict[str, object] | None:
        """The one record that is there instead of the array, where that is allowed."""
        value, there = self._instead() if self._one_record else (None, False)
        return value if there and isinstance(value, dict) else None

    def _instead(self) -> tuple[object, bool]:
        """The value at the container's path, MISSING if none; or a value on the way to it, and False."""
        value: object = self._guard.envelope.root
        for step in self._steps:
            if isinstance(value, dict) and isinstance(step, str):
                value = value.get(step, MISSING)
            elif isinstance(value, list) and isinstance(step, int):
                value = value[step] if step < len(value) else MISSING
            else:
                return value, False
        return value, True

    def feed(self, text: bytes, more: Callable[[], bytes]) -> Iterator[Records]:  # noqa: ARG002 - CSV uses it
        for start in range(0, len(text), BUFFER):
            self._meter.admit(text[start : start + BUFFER])
            if self._guard.inside:
                self._parser.send(self._guard.inside)
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
        self._meter.finish()
        if self._guard.inside:
            self._parser.send(self._guard.inside)
        if self._guard.found:
            self._parser.close()
        yield from self._taken()
        yield from self.flush()

    def _taken(self) -> Iterator[Records]:
        """Slices of the records that the parser has found so far."""
        self._found += self._parser.found
        self._parser.found.clear()
        while len(self._found) >= SLICE:
            records, self._found = self._found[:SLICE], self._found[SLICE:]
            yield self._finished(records)
            self._meter.release()
        if self._meter.pending > SLICE_BYTES:
            yield from self.flush()

    def _finished(self, found: list[object]) -> Records:
        """The records, with their half surrogates restored; a value of another kind is unreadable."""
        self._keys += sum(map(keys_in, found)) if self._guard.nested else _flat_keys(found)
        if self._guard.surrogates.seen:
            found = [self._guard.surrogates.restore(value) for value in found]
        if self._members:
            return self._of_members(self._members, cast("list[tuple[str, object]]", found))
        if self._arrays:
            return self._arrays.records(found)
        return cast("Records", found) if set(map(type, found)) == {dict} else list(map(as_object, found))

    def _of_members(self, members: Members, found: list[tuple[str, object]]) -> Records:
        self._keys += len(found)
        # An error document is an object too.
        if self._errors and not self._steps and (error := self._errors.error(None, dict(found))):
            raise error
        return members.records(found)


def _not_json(error: Exception) -> SourceRefused | MalformedDocument:
    """The platform's error for one of ijson's."""
    if isinstance(error, InvalidOperation):  # the document is JSON, but ijson does not say which record has the number
        return SourceRefused("the JSON answer has a number whose exponent is beyond 10^18: no column type can hold it.")
    return invalid_in_json(str(error)) or MalformedDocument(f"the answer is not valid JSON ({_brief(error)}).")


def _brief(error: Exception) -> str:
    """The parser's message, shortened."""
    return " ".join(str(error).split())[:SHOWN]


def _flat_keys(values: list[object]) -> int:
    try:
        return sum(map(dict.__len__, values))  # type: ignore[arg-type]  # a value that is not an object raises
    except TypeError:
        return sum(map(keys_in, values))


def _footer(tail: bytes) -> DeclaredTotal | None:
    match = FOOTER.search(tail)
    members = json.loads(match[1]) if match else {}
    return declared(members.get(COUNT), members.get(DIGEST))
