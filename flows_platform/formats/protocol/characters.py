"""Characters that XML and JSON do not allow in texts: named in an error, or replaced if the table's YAML says so."""

import re
from collections.abc import Callable
from typing import Protocol

import numpy as np

from flows_platform.domain.errors import SourceRefused
from flows_platform.formats.protocol.metered_reader import ByteSource
from flows_platform.formats.protocol.names import WireFormat

BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # RFC 8259 lets a reader ignore it
WHITE_SPACE = b" \t\n\r"  # white space of JSON and XML; bytes.strip() alone also strips form feeds
ENCODING = re.compile(rb"""<\?xml[^>]*?\sencoding\s*=\s*["']([^"']*)["']""")
KEY = "invalid_characters: replace"
REPLACEMENT = "\ufffd".encode()
REFERENCE = b"&#xFFFD;"
SHOWN = 20  # bytes before the character that a message shows
LONGEST = 12  # bytes of a reference, `&#x0010FFFF;`, or of the start of a section
DECLARATION = 256  # bytes in which a document declares its encoding
UTF8 = {"UTF-8", "US-ASCII", "ASCII"}
LAST, PLANE = 0x10FFFF, 0xFFFE
BLANK = 0x20
IN_STRING = b"invalid character inside string"  # from ijson's message
POINTED = 40  # bytes that ijson's message shows before the one that it points to

# Control characters except tab, line feed and carriage return; U+FFFE and U+FFFF; halves of surrogate pairs.
_XML = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]|\xed[\xa0-\xbf][\x80-\xbf]")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_MARK = re.compile(rb"<!\[CDATA\[|<!--|<\?|&#(?:x[0-9a-fA-F]{1,8}|[0-9]{1,8});")
_CUT = re.compile(
    rb"(?:<(?:\?|!(?:-{1,2}|\[[CDAT\[]{0,6})?)?|&(?:#(?:x[0-9a-fA-F]{0,8}|[0-9]{0,8}))?|\]{1,2}|-{1,2}|\?"
    rb"|\xef\xbf?|\xed[\xa0-\xbf]?)\Z"
)
_ENDS = {b"<![CDATA[": b"]]>", b"<!--": b"-->", b"<?": b"?>"}


class Replacing(ByteSource, Protocol):
    """A source that gives U+FFFD for invalid characters; `replaced` counts them."""

    replaced: int


def invalid_in_xml(text: bytes) -> SourceRefused | None:
    """An error that names the first invalid character of a piece of XML; None if there is none."""
    found = [(match.start(), match[0]) for match in _XML.finditer(text)][:1]
    found += [(mark.start(), mark[0]) for mark in _MARK.finditer(text) if _is_invalid(mark[0])][:1]
    if not found:
        return None
    position, character = min(found)
    code = _code(character) if character.startswith(b"&") else ord(character.decode("utf-8", "surrogatepass"))
    return refusal("XML", code, text[max(0, position - SHOWN) : position])


def refusal(kind: str, code: int, before: bytes) -> SourceRefused:
    """An error that names the character, the text before it and the YAML key."""
    shown = before.decode("utf-8", "replace")
    return SourceRefused(
        f"the answer contains the character U+{code:04X}, which {kind} does not allow, after {shown!r}.",
        remedy=f"Have the API leave it out, or declare `{KEY}`: such characters become U+FFFD and are counted.",
    )


def invalid_in_json(words: str) -> SourceRefused | None:
    """An error that names the control character of ijson's message; None if the message is about something else.

    The message shows the text around the character in one line, and points to the character.
    """
    complaint, text, *_ = (*words.encode("utf-8", "surrogateescape").split(b"\n"), b"")
    found = text[POINTED : POINTED + 1]
    if IN_STRING not in complaint or not found or found[0] > BLANK:
        return None
    code = 0x0A if found == b" " else found[0]  # ijson shows a line end as a space
    return refusal("JSON", code, text[:POINTED].lstrip()[-SHOWN:])


def replacing(wire: WireFormat, source: ByteSource) -> Replacing | None:
    """The source with invalid characters replaced; None for formats that allow all characters."""
    readers: dict[WireFormat, Callable[[ByteSource], Replacing]] = {
        WireFormat.XML: XmlCharacters,
        WireFormat.JSON: JsonCharacters,
        WireFormat.NDJSON: LineCharacters,
    }
    return readers[wire](source) if wire in readers else None


class XmlCharacters:
    """Replaces invalid characters in an XML document in UTF-8, also those written as character references.

    There are no references inside a CDATA section, a comment or a processing instruction.
    """

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._held = b""
        self._until = b""  # the end mark of the open section
        self._ended = False
        self._start = b""  # the first bytes of the document, which name its encoding
        self.replaced = 0

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes of the source, or a few more.

        Raises:
            SourceRefused: the document's encoding is not UTF-8, so U+FFFD cannot be written into it.
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
        if not _CONTROL.search(piece):  # in this encoding, the other bytes that matched are letters
            return False
        raise SourceRefused(f"`{KEY}` reads XML in UTF-8; the document is in {encoding[:40]!r}.")

    def _without_tail(self, text: bytes) -> bytes:
        """The text without a reference, a section's mark or a character that may be cut at its end."""
        cut = _CUT.search(text, max(0, len(text) - LONGEST))
        end = cut.start() if cut else len(text)
        self._held = text[end:]
        return text[:end]

    def _references(self, text: bytes) -> bytes:
        if not self._until and b"&#" not in text and b"<!" not in text and b"<?" not in text:
            return text
        pieces: list[bytes] = []
        position = 0
        while position < len(text):
            if self._until:
                end = text.find(self._until, position)
                stop = len(text) if end < 0 else end + len(self._until)
                self._until = self._until if end < 0 else b""
                pieces.append(text[position:stop])
                position = stop
                continue
            mark = _MARK.search(text, position)
            if mark is None:
                pieces.append(text[position:])
                break
            pieces.append(text[position : mark.start()])
            pieces.append(self._mark(mark[0]))
            position = mark.end()
        return b"".join(pieces)

    def _mark(self, mark: bytes) -> bytes:
        if mark in _ENDS:
            self._until = _ENDS[mark]
        elif _is_invalid(mark):
            self.replaced += 1
            return REFERENCE
        return mark


class JsonCharacters:
    """Replaces the control characters inside a JSON document's texts. Those between its values stay errors."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._held = b""  # a backslash whose character is in the next chunk
        self._inside = False  # whether the document is inside a text
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
        invalid = controls[inside].tolist()
        self.replaced += len(invalid)
        starts, ends = [0, *(position + 1 for position in invalid)], [*invalid, len(piece)]
        return REPLACEMENT.join(piece[start:end] for start, end in zip(starts, ends, strict=True)) if invalid else piece


class LineCharacters(JsonCharacters):
    """JSON documents, one per line: a line starts outside a text, even if the line before it left one open."""

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
    surrogate = 0xD800 <= code <= 0xDFFF  # noqa: PLR2004 - the range of surrogates
    return code > LAST or code in {PLANE, PLANE + 1} or surrogate or (code < BLANK and code not in {9, 10, 13})
