"""Reads the document of one answer, or those of the files in it: format, what proves the end, what empty means."""

from collections.abc import Generator, Iterator, Mapping

from flows_platform.columns.casting import Slice
from flows_platform.domain.errors import (
    ConfigurationError,
    NoRecords,
    PlatformError,
    SourceRefused,
    StreamIncomplete,
)
from flows_platform.domain.verification import RowDigest
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.fetch_plan import Tee
from flows_platform.fetch.http.client import Answer
from flows_platform.fetch.http.decompression import Decompressed
from flows_platform.fetch.unpacking import Packing, Unpacking
from flows_platform.fetch.unread import require_read, unread_values
from flows_platform.formats.decoders import Document, Layout, envelope_of, open_document
from flows_platform.formats.protocol.characters import WHITE_SPACE, replacing
from flows_platform.formats.protocol.envelope import DeclaredTotal
from flows_platform.formats.protocol.line_digest import LineDigest
from flows_platform.formats.protocol.metered_reader import BlankDocument, ByteSource
from flows_platform.formats.protocol.names import CONTENT_TYPES, RECORD_COUNT_HEADER, WireFormat, nothing_around

FORMATS = {content_type: wire for wire, content_type in CONTENT_TYPES.items()} | {
    "text/xml": WireFormat.XML,
    "application/jsonl": WireFormat.NDJSON,
    "application/x-jsonlines": WireFormat.NDJSON,
}
SUFFIXES = {"json": WireFormat.JSON, "xml": WireFormat.XML}
MAX_DIGITS = 19  # of a count


class AnswerDocument:
    """The document of one answer: iterate it to its end, then ask what it declares.

    `count` is the number of records that a header of the answer declares. `replaced` counts the characters that were
    replaced. `tee` may keep a copy of what comes.

    Raises:
        NoRecords: the answer is one that is declared to mean that there are no records.
        PlatformError: it is empty, or of another format.
    """

    def __init__(self, api: WindowedApi, answer: Answer, tee: Tee) -> None:
        self._api = api
        self._answer = answer
        self._tee = tee
        self.count = header_count(answer)
        self.replaced = 0
        self._lines: LineDigest | None = None
        self._end_where_nothing_is(answer)
        self.format = self._format_of(answer)
        if self.count != 0 and answer.is_empty():
            raise self._empty(answer)
        self._document: Document | None = None  # the last that was read

    def __iter__(self) -> Iterator[Slice]:
        """The records in slices.

        Raises:
            PlatformError: the answer is cut, or is not such a document.
        """
        unpacking = self._api.unpacking
        with self._tee(self._answer) as sent:
            if unpacking:
                yield from self._unpacked(unpacking, sent)
            elif not (yield from self._read(sent)):
                raise self._empty(self._answer)

    def _unpacked(self, unpacking: Unpacking, sent: ByteSource) -> Iterator[Slice]:
        """The records of the files in the body."""
        filled, nothing = False, None
        for file in unpacking.files(sent, decoded=self._answer.was_gzip):
            try:
                with file.errors():
                    filled = (yield from self._of_file(file.source)) or filled
            except NoRecords as error:  # the other files may have some
                nothing = error
        # guard: a file without records does not speak for the others
        if nothing:
            raise nothing
        if not filled:
            raise self._empty(self._answer)

    def _of_file(self, source: Decompressed) -> Generator[Slice, None, bool]:
        """The records of one file; returns whether it has any content."""
        content = not source.is_empty() and (yield from self._read(source))
        if not content and not self._api.refusals.nothing.empty:
            raise self._empty(self._answer)
        if content and self._is_zip:
            unread = unread_values(envelope_of(self._last), {}, self._api.reads)
            # guard: no file of a zip file is the last by guess
            require_read(unread, self._api.ignored)
        return content

    def _read(self, sent: ByteSource) -> Generator[Slice, None, bool]:
        """The records of one document; returns whether it has any content."""
        if self._api.digests_lines:
            sent = self._lines = LineDigest(sent)
        clean = replacing(self.format, sent) if self._api.replaces_characters else None
        source: ByteSource = clean or sent
        self._document = document = open_document(self.format, source, self._layout(self._answer))
        try:
            yield from document.slices()
        except BlankDocument:
            return False
        exhaust(source)
        self.replaced += clean.replaced if clean else 0
        return True

    def require_content(self, records: int) -> None:
        """Refuse lines of which not one holds anything, where `records` came: blank lines, or a byte order mark.

        Raises:
            PlatformError: as for an answer without any byte.
        """
        if self.format is WireFormat.NDJSON and self.count != 0 and not (records or self.declared):
            raise self._empty(self._answer)

    @property
    def declared(self) -> DeclaredTotal | None:
        """What a footer declares; None for a zip file, each of whose files may have one."""
        return None if self._is_zip else self._last.declared

    @property
    def line_digest(self) -> RowDigest | None:
        """The digest of the lines that came; None where the source does not digest lines."""
        return self._lines.digest if self._lines else None

    @property
    def enclosed(self) -> bool:
        """Whether the document marks its end, or the file that it was packed in."""
        # The end mark of a gzip file does not say that no member follows; the transfer does.
        packed = self._is_zip or (self._api.unpacking is not None and self._answer.is_framed)
        return packed or self._last.enclosed

    @property
    def envelope(self) -> Mapping[str, object]:
        """The values around the records; empty for a zip file, each of whose files may have some."""
        return {} if self._is_zip else envelope_of(self._last)

    @property
    def _is_zip(self) -> bool:
        return self._api.unpacking is not None and self._api.unpacking.packing is Packing.ZIP

    @property
    def _last(self) -> Document:
        """The last document that was read.

        Raises:
            RuntimeError: none was read.
        """
        if self._document is None:
            raise RuntimeError("no document was read: iterate the answer first")
        return self._document

    def _end_where_nothing_is(self, answer: Answer) -> None:
        nothing = self._api.refusals.nothing
        nothing.require_some(answer.status)
        if nothing.empty and answer.is_empty():
            raise self._empty(answer)

    def _empty(self, answer: Answer) -> PlatformError:
        """The error for an answer without any content."""
        if not self._api.refusals.nothing.empty:
            return StreamIncomplete(
                f"the answer, of status {answer.status}, is empty.",
                remedy="Where an empty answer means that there are no records, declare `nothing: [empty]`.",
            )
        # guard: an empty body must be proven
        if not (answer.proves_its_end or self._api.unpacking):
            return StreamIncomplete(
                "the answer is empty, and nothing proves that it was not cut: it has no Content-Length and no chunks.",
                remedy="Have the API declare the length of its answers, or say with status 204 that there is nothing.",
            )
        return NoRecords("the answer is empty, declared to mean that there are no records.")

    def _layout(self, answer: Answer) -> Layout:
        api = self._api
        # guard: flat records keep their envelope
        return Layout(
            api.schema,
            api.records,
            api.record,
            api.asks_footer,
            api.record_bytes,
            whole=api.mapping is not None,
            total=api.total,
            errors=api.refusals.document,
            nothing=api.refusals.nothing.members,
            enveloped=api.enveloped,
            doctype=api.doctype,
            plain_names=api.plain_names,
            parser=api.parser,
            extra=api.extra_column,
            dialect=api.dialect,
            fields=api.fields,
            one_record=api.one_record,
            names=api.names,
            rows=api.mapping.each if api.mapping else None,
            record_key=api.record_key,
            proven=answer.proves_its_end or api.unpacking is not None or header_count(answer) is not None,
        )

    def _format_of(self, answer: Answer) -> WireFormat:
        wire = self._format_named(answer.media_type)
        # guard: content type
        if wire is None or (self._api.format and wire is not self._api.format):
            expected = (
                self._api.format.content_type if self._api.format else "one of " + ", ".join(CONTENT_TYPES.values())
            )
            raise SourceRefused(
                f"the answer's content type is {answer.media_type or 'missing'!r}, not {expected}.",
                remedy="Check the URL, and that the format asked for is one the endpoint has; where records come under "
                "this type, declare it under `content_types`.",
            )
        # guard: links are looked for where they can be
        if self._api.enveloped and not wire.has_envelope:
            raise ConfigurationError(f"{nothing_around(wire)}.")
        return wire

    def _format_named(self, media_type: str) -> WireFormat | None:
        """The format of a content type: by its own name, a structured suffix (RFC 6839), or as declared."""
        unpacking = self._api.unpacking
        if media_type in self._api.content_types or (unpacking and media_type in unpacking.packing.media_types):
            return self._api.format
        return FORMATS.get(media_type) or SUFFIXES.get(media_type.rpartition("+")[2] if "+" in media_type else "")


def exhaust(source: ByteSource) -> None:
    """Read to the end of the transfer: only there do framing and compression prove themselves.

    Raises:
        SourceRefused: more than white space follows the document.
    """
    while rest := source.read():
        # guard: nothing follows the document
        if rest.strip(WHITE_SPACE):
            raise SourceRefused(f"{len(rest)} bytes follow the end of the document.")


def header_count(answer: Answer) -> int | None:
    """The number of records that the answer's header declares, if it does."""
    value = answer.headers.get(RECORD_COUNT_HEADER)
    if value is None:
        return None
    # guard: a declared count is a number
    if not (value.isascii() and value.isdigit() and len(value) <= MAX_DIGITS):
        raise SourceRefused(f"the {RECORD_COUNT_HEADER} header is {value[:40]!r}, not a number.")
    return int(value)
