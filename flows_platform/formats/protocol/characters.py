"""Characters that XML and JSON do not allow in their texts: found for an error, or replaced where that is declared."""

import re
from collections.abc import Callable
from typing import Protocol

import numpy as np

from flows_platform.domain.errors import SourceRefused
from flows_platform.formats.protocol.metered_reader import ByteSource
from flows_platform.formats.protocol.names import WireFormat

BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # a byte order mark; RFC 8259 lets a reader pass over it
WHITE_SPACE = b" \t\n\r"  # white space of JSON and XML; bytes.strip() alone takes form feeds too
ENCODING = re.compile(rb"""<\?xml[^>]*?\sencoding\s*=\s*["']([^"']*)["']""")
KEY = "invalid_characters: replace"
REPLACEMENT = "\ufffd".encode()
REFERENCE = b"&#xFFFD;"
SHOWN = 20  # bytes before the character
LONGEST = 12  # bytes of a reference, `&#x0010FFFF;`, or of what begins a section
DECLARATION = 256  # bytes in which a document says its encoding
UTF8 = {"UTF-8", "US-ASCII", "ASCII"}
LAST, PLANE = 0x10FFFF, 0xFFFE
BLANK = 0x20
IN_STRING = b"invalid character inside string"  # ijson's words
POINTED = 40  # bytes before the one that it points to

# Control characters but tab, line feed and carriage return; U+FFFE and U+FFFF; halves of surrogate pairs.
_XML = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]|\xed[\xa0-\xbf][\x80-\xbf]")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_MARK = re.compile(rb"<!\[CDATA\[|<!--|<\?|&#(?:x[0-9a-fA-F]{1,8}|[0-9]{1,8});")
_CUT = re.compile(
    rb"(?:<(?:\?|!(?:-{1,2}|\[[CDAT\[]{0,6})?)?|&(?:#(?:x[0-9a-fA-F]{0,8}|[0-9]{0,8}))?|\]{1,2}|-{1,2}|\?"
    rb"|\xef\xbf?|\xed[\xa0-\xbf]?)\Z"
)
_ENDS = {b"<![CDATA[": b"]]>", b"<!--": b"-->", b"<?": b"?>"}


class Replacing(ByteSource, Protocol):
    """A source whose invalid characters come as U+FFFD; `replaced` of them so far."""

    replaced: int


def invalid_in_xml(text: bytes) -> SourceRefused | None:
    """The first character of a piece of XML that it may not hold, as an error."""
    places = [(match.start(), match[0]) for match in _XML.finditer(text)][:1]
    places += [(each.start(), each[0]) for each in _MARK.finditer(text) if _is_invalid(each[0])][:1]
    if not places:
        return None
    place, found = min(places)
    code = _code(found) if found.startswith(b"&") else ord(found.decode("utf-8", "surrogatepass"))
    return refusal("XML", code, text[max(0, place - SHOWN) : place])


def refusal(kind: str, code: int, before: bytes) -> SourceRefused:
    """An error that names the character, its place and the key."""
    shown = before.decode("utf-8", "replace")
    return SourceRefused(
        f"the character U+{code:04X}, which {kind} does not allow, stands in the answer behind {shown!r}.",
        remedy=f"Have the API leave it out, or declare `{KEY}`: such characters become U+FFFD and are counted.",
    )


def invalid_in_json(words: str) -> SourceRefused | None:
    """The control character that ijson complains of: its words hold the text around it in one line, and point to it."""
    complaint, text, *_ = (*words.encode("utf-8", "surrogateescape").split(b"\n"), b"")
    found = text[POINTED : POINTED + 1]
    if IN_STRING not in complaint or not found or found[0] > BLANK:
        return None
    code = 0x0A if found == b" " else found[0]  # a line end is shown as a space
    return refusal("JSON", code, text[:POINTED].lstrip()[-SHOWN:])


def replacing(wire: WireFormat, source: ByteSource) -> Replacing | None:
    """The source with invalid characters replaced; None for formats that have none."""
    readers: dict[WireFormat, Callable[[ByteSource], Replacing]] = {
        WireFormat.XML: XmlCharacters,
        WireFormat.JSON: JsonCharacters,
        WireFormat.NDJSON: LineCharacters,
    }
    return readers[wire](source) if wire in readers else None


class XmlCharacters:
    """An XML document in UTF-8, its invalid characters replaced, also where they are written as references.

    In a CDATA section, a comment or an instruction nothing is a reference.
    """

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._held = b""
        self._until = b""  # what ends the section that the document is in
        self._ended = False
        self._start = b""  # of the document: its declaration
        self.replaced = 0

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes of the source, or a few more.

        Raises:
            SourceRefused: U+FFFD has no form in the document's encoding.
        """
        while not self._ended:
            chunk = self._source.read(size)
            self._ended = not chunk
            text, self._held = self._held + chunk, b""
            if piece := self._references(self._without_tail(text) if chunk else text):
                self._start += piece[: DECLARATION - len(self._start)]
                clean, count = _XML.subn(REPLACEMENT, piece)
                if not count or not self._is_utf8(piece):
                    return piece
                self.replaced += count
                return clean
        return b""

    def _is_utf8(self, piece: bytes) -> bool:
        declared = ENCODING.match(self._start.removeprefix(b"\xef\xbb\xbf").lstrip())
        encoding = declared[1].decode("latin-1").upper() if declared else "UTF-8"
        # guard: no U+FFFD in another encoding
        if encoding in UTF8:
            return True
        if not _CONTROL.search(piece):  # what are bytes of UTF-8 elsewhere are letters here
            return False
        raise SourceRefused(f"`{KEY}` reads XML in UTF-8; the document is in {encoding[:40]!r}.")

    def _without_tail(self, text: bytes) -> bytes:
        """The text up to where a reference, a section's mark or a character may be cut."""
        cut = _CUT.search(text, max(0, len(text) - LONGEST))
        place = cut.start() if cut else len(text)
        self._held = text[place:]
        return text[:place]

    def _references(self, text: bytes) -> bytes:
        if not self._until and b"&#" not in text and b"<!" not in text and b"<?" not in text:
            return text
        pieces: list[bytes] = []
        place = 0
        while place < len(text):
            if self._until:
                end = text.find(self._until, place)
                stop = len(text) if end < 0 else end + len(self._until)
                self._until = self._until if end < 0 else b""
                pieces.append(text[place:stop])
                place = stop
                continue
            mark = _MARK.search(text, place)
            if mark is None:
                pieces.append(text[place:])
                break
            pieces.append(text[place : mark.start()])
            pieces.append(self._mark(mark[0]))
            place = mark.end()
        return b"".join(pieces)

    def _mark(self, mark: bytes) -> bytes:
        if mark in _ENDS:
            self._until = _ENDS[mark]
        elif _is_invalid(mark):
            self.replaced += 1
            return REFERENCE
        return mark


class JsonCharacters:
    """A JSON document, the control characters inside its texts replaced. Others, between its values, are errors."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._held = b""  # a backslash whose character comes later
        self._inside = False  # a text
        self.replaced = 0

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes of the source, or a few more."""
        while chunk := self._source.read(size):
            text = self._held + chunk
            odd = (len(text) - len(text.rstrip(b"\\"))) % 2
            self._held = text[len(text) - odd :]
            if piece := text[: len(text) - odd]:
                return self._clean(piece)
        rest, self._held = self._held, b""
        return rest

    def _clean(self, piece: bytes) -> bytes:
        plain = piece.replace(b"\\\\", b"__").replace(b'\\"', b"__")
        octets = np.frombuffer(plain, np.uint8)
        quotes, controls = np.flatnonzero(octets == ord('"')), np.flatnonzero(octets < BLANK)
        inside = (np.searchsorted(quotes, controls) + self._inside) % 2 == 1
        self._inside = (len(quotes) + self._inside) % 2 == 1
        places = controls[inside].tolist()
        self.replaced += len(places)
        starts, ends = [0, *(place + 1 for place in places)], [*places, len(piece)]
        return REPLACEMENT.join(piece[start:end] for start, end in zip(starts, ends, strict=True)) if places else piece


class LineCharacters(JsonCharacters):
    """JSON documents, one a line: each begins outside a text, whatever the one before it left open."""

    def _clean(self, piece: bytes) -> bytes:
        first, *others = piece.split(b"\n")
        lines = [super()._clean(first)]
        for line in others:
            self._inside = False
            lines.append(super()._clean(line))
        return b"\n".join(lines)


def _code(reference: bytes) -> int:
    digits = reference[2:-1]
    return int(digits[1:], 16) if digits.startswith(b"x") else int(digits)


def _is_invalid(mark: bytes) -> bool:
    if not mark.startswith(b"&#"):
        return False
    code = _code(mark)
    surrogate = 0xD800 <= code <= 0xDFFF  # noqa: PLR2004 - all of them
    return code > LAST or code in {PLANE, PLANE + 1} or surrogate or (code < BLANK and code not in {9, 10, 13})
