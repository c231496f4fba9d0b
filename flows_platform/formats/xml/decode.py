"""Reads records from an XML document with lxml's pull parser, in constant memory: records are removed from the tree."""

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice

import pyarrow as pa
from lxml import etree

from flows_platform.columns.casting import Slice
from flows_platform.columns.paths import RecordPath, single
from flows_platform.columns.raw_records import Records
from flows_platform.domain.errors import MalformedDocument, SourceRefused, StreamIncomplete
from flows_platform.formats.protocol.characters import invalid_in_xml
from flows_platform.formats.protocol.envelope import DeclaredTotal, ErrorDocument, declared_text
from flows_platform.formats.protocol.metered_reader import RECORD_BYTES, SLICE_BYTES, ByteSource, Meter, RecordTooLarge
from flows_platform.formats.protocol.names import COUNT, DIGEST, END
from flows_platform.formats.templates.blocks import Flat, TemplateReader, parsed, proven
from flows_platform.formats.templates.template import xml_template
from flows_platform.formats.xml.elements import drop_empty, drop_namespaces, local, nested_record, plain_record
from flows_platform.formats.xml.flat_elements import flat_columns
from flows_platform.formats.xml.guard import XmlGuard, names_in
from flows_platform.formats.xml.positions import NotMet, Others, in_namespace, not_met, require_one_namespace, steps_of

SLICE = 512  # nested records per slice; the tree never holds more
MAX_BESIDE = 4096  # elements around the records
PIECE = 1 << 15  # bytes that the parser gets at once if records are nested
START = 1 << 16  # bytes of the document's start that a second parser reads, to see what is there
CUT = "flows-cut"  # target of an instruction that is inserted to learn where the parser is
INSTRUCTION = f"<?{CUT}?>".encode()
SHOWN = 200  # characters of the parser's message
STRING = "(<string>, line 1)"  # libxml2's position in a piece, which does not help a reader
PSEUDO_ATTRIBUTE = re.compile(r"""(?:^|\s)([a-z]+)\s*=\s*["']([^"']*)["']""")


class XmlDocument:
    """`<root><record>…</record>…<?end count="N"?></root>`; `root` and `record` are the required element names.

    `record` may be a path from the root (`RESPONSE/HOST_LIST/HOST`). With `whole`, records keep everything nested in
    them; with `enveloped`, the envelope around them is kept. `errors` recognizes an error document. `doctype` allows a
    DOCTYPE that names an external DTD, which is never read. The path to the records may be missing if the value at
    `total` is 0, or if `nothing` contains `missing`. With `plain_names`, names are read without their namespace. With
    `template`, templates read records of exactly its columns, where they are proven to be right.
    """

    enclosed = True

    def __init__(
        self,
        source: ByteSource,
        root: str,
        record: str,
        record_bytes: int = RECORD_BYTES,
        *,
        whole: bool = False,
        enveloped: bool = False,
        errors: ErrorDocument | None = None,
        doctype: bool = False,
        total: RecordPath | None = None,
        nothing: frozenset[str] = frozenset(),
        plain_names: bool = False,
        template: Flat | None = None,
    ) -> None:
        self._guard = XmlGuard(doctype=doctype)
        self._source = source
        self._meter = Meter(self._guard, record_bytes)
        self._root = root
        *self._parents, self._record = steps_of(record)
        self._whole = whole
        self._enveloped = enveloped
        self._beside = 0
        self._instructions = False  # whether there was a processing instruction
        self._errors = errors
        self._doctype = doctype
        self._total = total
        self._nothing = nothing
        self._plain_names = plain_names
        self._start: etree.XMLPullParser | None = etree.XMLPullParser(events=("start",), huge_tree=True)
        self._left = START
        self._seen: etree._Element | None = None  # the root, from the second parser of the document's start
        self._met = False  # whether there was a record
        self._others = Others()  # the root's children before the first record
        self._parser = etree.XMLPullParser(events=("start", "pi"), tag=self._any(root), huge_tree=True)
        self._top: etree._Element | None = None  # the root, if records are its children
        self._template = None if doctype or plain_names else template
        self._closing = f"</{self._record}>".encode()
        self._closes = False  # whether the last bytes are a record's end
        self.declared: DeclaredTotal | None = None
        self.envelope: Mapping[str, object] = {}

    def slices(self) -> Iterator[Slice]:
        """Slices of 256 KB, or of 512 nested records.

        Raises:
            StreamIncomplete: the document is cut.
            MalformedDocument: it is not well-formed.
            SourceRefused: it has another root or a DOCTYPE, is an error document, or would harm the parser.
        """
        plain = not (self._parents or self._whole or self._enveloped)
        try:
            if not plain:
                yield from self._anywhere()
            elif flat := self._template:
                reader = TemplateReader(
                    lambda text: xml_template(text, self._record, flat.columns), flat, self._closing
                )
                yield from proven(self._source, self, reader)
            else:
                yield from parsed(self._source, self)
        except etree.XMLSyntaxError as error:
            if self._meter.ended and not invalid_in_xml(self._guard.recent[-1]):
                raise StreamIncomplete(f"the XML document ends early ({_brief(error)}).") from error
            raise _not_xml(error, b"".join(self._guard.recent)) from error

    def feed(self, text: bytes, more: Callable[[], bytes]) -> Iterator[pa.RecordBatch | Records]:  # noqa: ARG002 - CSV uses it
        """Take all children but the last as complete: an event per record would cost as much as parsing it."""
        for start in range(0, len(text), SLICE_BYTES):
            chunk = self._meter.admit(text[start : start + SLICE_BYTES])
            self._look(chunk)
            self._parser.feed(chunk)
            self._take_events()
            if self._top is not None and len(self._top) > 1 and self._meter.pending >= SLICE_BYTES:
                yield from self._first(self._top, len(self._top) - 1)
        self._closes = text.endswith(self._closing)

    def is_between_records(self) -> bool:
        """Inserts an instruction and looks where the parser puts it; in a plain document it cannot be inside a text."""
        # guard: blocks of XML without namespaces
        if not self._closes or not self._guard.plain or self._top is None or self._top.nsmap:
            return False
        last = next(self._top.iterchildren(reversed=True), None)
        if last is None or next(last.iterdescendants(self._record), None) is not None:
            return False  # the instruction might stay inside a record and be given as its content
        self._parser.feed(INSTRUCTION)
        return self._take_events()

    def flush(self) -> Iterator[pa.RecordBatch | Records]:
        if self._top is not None and len(self._top) > 1:  # the last child is the inserted instruction
            yield from self._first(self._top, len(self._top) - 1)

    def finish(self, text: bytes) -> Iterator[pa.RecordBatch | Records]:
        yield from self.feed(text, bytes)
        self._meter.finish()
        whole: etree._Element = self._parser.close()
        self._check_root(whole)
        yield from self._first(whole, len(whole))
        if not self._met:
            self._require_nothing(NotMet(self._root, (self._record,), self._others, record=True))

    def _take_events(self) -> bool:
        """Take the root and instructions; returns whether the last instruction is the inserted one, in the root."""
        ours = False
        for _, element in self._parser.read_events():
            if isinstance(element, etree._ProcessingInstruction):  # noqa: SLF001 - lxml has no public name
                self._take_instruction(element)
                ours = self._top is not None and element.target == CUT and element.getparent() is self._top
            elif self._top is None and isinstance(element, etree._Element):  # noqa: SLF001 - as above
                self._top = element
                self._check_root(element)
        return ours

    def _first(self, root: etree._Element, count: int) -> Iterator[pa.RecordBatch | Records]:
        """The records in the first children of the root, which are then removed.

        The parser must be done with them: it may still write to its last child, or to the text after it.
        """
        if self._instructions:
            inside = [child for child in islice(root, count) if not isinstance(child.tag, str)]
            for child in inside:
                root.remove(child)
            count -= len(inside)
        if count:
            yield self._read(root, count)
            del root[:count]
        self._meter.release()

    def _read(self, root: etree._Element, count: int) -> pa.RecordBatch | Records:
        columns = None if self._plain_names else flat_columns(root, self._record, count)
        if columns is not None:
            self._met = True
            # guard: distinct names in flat XML records
            self._guard.note_names(columns.schema.names)
            return columns
        children = list(islice(root, count))
        self._guard.note_names(names_in(children))
        if self._plain_names:
            drop_namespaces(children)
        records = [plain_record(record) for child in children for record in child.iter(self._record)]
        self._met = self._met or bool(records)
        if not self._met:
            self._others.add(children)
        return records

    def _anywhere(self) -> Iterator[Records]:
        # The parser's defaults are kept on purpose: no network, no external entities.
        parser = etree.XMLPullParser(events=("end", "pi"), tag=self._any(self._record), huge_tree=True)
        yield from self._slices(self._events(parser))
        root: etree._Element = parser.close()
        self._guard.note_names(names_in([root]))
        if self._plain_names:
            drop_namespaces([root])
        if self._enveloped:
            self.envelope = nested_record(root)
        self._check_root(root)
        # guard: a step to the records that is not met
        if not self._met and (unmet := not_met(root, self._steps)):
            self._require_nothing(unmet)
        if self._met:
            require_one_namespace(root, self._steps)

    def _events(self, parser: etree.XMLPullParser) -> Iterator[etree._Element]:
        while chunk := self._next():
            self._look(chunk)
            parser.feed(chunk)
            for _, element in parser.read_events():
                if isinstance(element, etree._Element):  # noqa: SLF001 - as below
                    yield element

    def _next(self) -> bytes:
        """The next piece; if it is too large before any record, the error names the elements found instead."""
        text = self._source.read(PIECE)
        try:
            return self._meter.admit(text) if text else self._meter.finish()
        except RecordTooLarge:
            if self._met or self._seen is None:
                raise
            if self._plain_names:
                drop_namespaces([self._seen])
            unmet = not_met(self._seen, self._steps)
            if unmet is None or unmet.is_nothing or not unmet.others.names:
                raise
            raise unmet.error() from None

    def _look(self, chunk: bytes) -> None:
        """Parse the document's start a second time, to find a wrong root at once, and what is there but no records."""
        if self._start is None:
            return
        self._start.feed(chunk[: self._left])
        self._left -= len(chunk)
        _, first = next(self._start.read_events(), ("", None))
        if self._seen is None and isinstance(first, etree._Element):  # noqa: SLF001 - lxml has no public name
            self._seen = first
            if not (self._errors and self._errors.root == self._named(first)):
                self._check_root(first)
        if self._left <= 0:
            self._start = None

    def _require_nothing(self, unmet: NotMet) -> None:
        """Refuse a document without records, unless the list is empty or may be missing."""
        if unmet.is_nothing:
            return
        counted_none = self._total is not None and str(single(self._total.find(self.envelope))) == "0"
        if not (unmet.may_be_missing and (counted_none or "missing" in self._nothing)):
            raise unmet.error()

    @property
    def _steps(self) -> list[str]:
        return [*self._parents, self._record]

    def _any(self, name: str) -> str:
        """The name for the parser's search; in any namespace with `plain_names`."""
        return f"{{*}}{name}" if self._plain_names else name

    def _named(self, element: etree._Element) -> str:
        return local(element.tag) if self._plain_names else str(element.tag)

    def _slices(self, events: Iterator[etree._Element]) -> Iterator[Records]:
        found: list[etree._Element] = []
        for element in events:
            if isinstance(element, etree._ProcessingInstruction):  # noqa: SLF001 - lxml has no public name
                self._take_instruction(element)
                continue
            self._check_path(element)
            found.append(element)
            if len(found) == SLICE or self._meter.pending > SLICE_BYTES:
                yield self._records(found)
                self._release(found)
        if found:
            yield self._records(found)
            if self._enveloped:  # the rest of the tree is the envelope
                self._release(found)

    def _records(self, elements: list[etree._Element]) -> Records:
        self._met = True
        self._guard.note_names(names_in(elements))
        if self._plain_names:
            drop_namespaces(elements)
        return [nested_record(element) if self._whole else plain_record(element) for element in elements]

    def _release(self, records: list[etree._Element]) -> None:
        """Remove the records from the tree, and the lists that have ended and are now empty."""
        lasts = {element.getparent(): element for element in records}
        *done, parent = lasts
        if parent is None:
            raise SourceRefused(f"the XML root <{records[-1].tag}> is itself the record, not a list of records.")
        self._check_root(parent.getroottree().getroot())
        beside = 0
        for holder, last in lasts.items():
            if holder is not None:
                beside = self._take_out(holder, last)
                self._beside += beside + 1 if holder in done and not drop_empty(holder) else 0
        # guard: elements around XML records
        if self._beside + beside > MAX_BESIDE:
            raise SourceRefused(
                f"the XML document has more than {MAX_BESIDE:,} elements around its records.",
                remedy="Declare their parent element as the record, and rows from its children.",
            )
        records.clear()
        self._meter.release()

    def _take_out(self, holder: etree._Element, last: etree._Element) -> int:
        """Remove the records up to `last`, and the comments between them; elements after it are not parsed completely.

        With the envelope, other elements are kept, since they may point to more records.

        Returns:
            The number of elements that are kept.
        """
        end = holder.index(last) + 1
        # guard: elements beside XML records are kept
        if not self._enveloped:
            del holder[:end]
            return 0
        kept = 0
        for child in list(holder)[:end]:
            if child.tag == self._record or not isinstance(child.tag, str):
                holder.remove(child)
            else:
                kept += 1
        return kept

    def _take_instruction(self, instruction: etree._ProcessingInstruction) -> None:
        self._instructions = True
        if instruction.target != CUT or not self._guard.plain:
            self._guard.note_names([instruction.target])
        if instruction.target == END:
            members = dict(PSEUDO_ATTRIBUTE.findall(instruction.text or ""))
            self.declared = declared_text(members.get(COUNT), members.get(DIGEST))

    def _check_path(self, element: etree._Element) -> None:
        """Refuse a record outside the declared path."""
        if self._parents:
            above = [self._named(ancestor) for ancestor in element.iterancestors()][-2::-1]
            # guard: XML records are at their path
            if above != self._parents:
                raise SourceRefused(
                    f"a <{self._record}> is in {'/'.join(above)!r}, not in {'/'.join(self._parents)!r}."
                )

    def _check_root(self, root: etree._Element) -> None:
        dtd = root.getroottree().docinfo.internalDTD
        if dtd is not None and (not self._doctype or _declares(dtd)):
            raise SourceRefused("the XML document has a DOCTYPE, which no stream of records needs.")
        if error := self._errors and self._errors.error(self._named(root), self.envelope):
            raise error
        # guard: XML root
        if self._named(root) != self._root:
            elsewhere = str(root.tag).startswith("{") and local(root.tag) == local(self._root)
            raise SourceRefused(
                f"the XML root is <{root.tag}>, not <{self._root}>.",
                remedy=in_namespace(str(root.tag))
                if elsewhere
                else "Check the URL: this is not the expected stream of records.",
            )


def _declares(dtd: etree.DTD) -> bool:
    return any(dtd.iterentities()) or any(dtd.iterelements())  # type: ignore[attr-defined]  # lxml-stubs lacks them


def _not_xml(error: etree.XMLSyntaxError, text: bytes) -> SourceRefused | MalformedDocument:
    """The platform's error for one of libxml2's."""
    return invalid_in_xml(text) or MalformedDocument(f"the answer is not well-formed XML ({_brief(error)}).")


def _brief(error: etree.XMLSyntaxError) -> str:
    """The parser's message, shortened."""
    return str(error).removesuffix(STRING)[:SHOWN]
