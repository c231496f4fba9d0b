"""What must not reach libxml2 although it would take it: DTDs, and documents made to fill its memory.

libxml2's own bounds (256 levels, 10 MB of text, names of 50,000 bytes) are lifted: they cannot be declared. It then
stops at 2,048 levels. What a text may take is `record_bytes`; entities, which amplify, need the DTD that is refused. It
accepts 400,000 attributes on an element (116 MB) and keeps every distinct name for the life of the thread (2 million:
318 MB). Costs about 2 % of parsing.
"""

import re
from collections.abc import Iterable

import numpy as np
from lxml import etree

from flows_platform.domain.errors import SourceRefused
from flows_platform.formats.protocol.characters import ENCODING

MAX_PROLOG = 1 << 16  # bytes before the root element
MAX_MARKUP = 200_000  # `<` in one slice: 120 bytes of tree each from four of input
MAX_EQUALS = 150_000  # `=` in one slice: 290 bytes an attribute
MAX_ATTRIBUTES = 256  # on one element
MAX_NAMES = 4096  # distinct names of elements, attributes, instructions and namespaces in one document
MAX_NAME = 2048  # characters of one name, its namespace among them
LONG_TAG = 1 << 15  # bytes without `<` from which attributes are counted
ENCODINGS = {"UTF-8", "US-ASCII", "ASCII", "ISO-8859-1", "WINDOWS-1252"}  # in which markup looks as it does in ASCII

_ROOT = re.compile(rb"<[A-Za-z_:\x80-\xff]")
_MISC = re.compile(rb"<!--.*?(?:-->|\Z)|<\?.*?(?:\?>|\Z)", re.DOTALL)  # what may look like markup and is none
_LITERAL = rb"""(?:"[^"<>\[\]]*"|'[^'<>\[\]]*')"""
_EXTERNAL = re.compile(
    rb"\s*<!DOCTYPE\s+[^\s\"'<>\[]+(?:\s+(?:SYSTEM|PUBLIC\s+%b)\s+%b)?\s*>\s*" % (_LITERAL, _LITERAL)
)
_USUAL = re.compile(
    rb"""(?:<\?xml\s+version\s*=\s*["']1\.0["'](?:\s+encoding\s*=\s*["'](?i:utf-8)["'])?"""
    rb"""(?:\s+standalone\s*=\s*["'](?:yes|no)["'])?\s*\?>)?\s*"""
)
_HIDING = (b"<!", b"<?")
_ATTRIBUTE = re.compile(rb"""\s+[^\s=<>"'/]+\s*=\s*(?:"[^"]*"|'[^']*')""")
_NAME = re.compile(rb"<[^\s/>!?<]+")
_NAMESPACE = re.compile(rb"""xmlns[^\s=]*\s*=\s*["'][^"']{0,1000}""")


class XmlGuard:
    """Looks at the pieces of one document in order and gives them on as they are.

    With `doctype` a DOCTYPE may name an external DTD; it is never read, and may declare nothing itself. A document is
    `plain` while it is in UTF-8 and has had no comment, CDATA or instruction: each `<` begins a tag.
    """

    def __init__(self, *, doctype: bool = False) -> None:
        self.plain = True
        self._doctype = doctype
        self._prolog: bytes | None = b""
        self._markup = self._equals = 0
        self._last = b""  # byte
        self._open = b""  # from the last `<` on
        self._look = LONG_TAG
        self.recent = (b"", b"")  # the last two pieces: to find in them what the parser complains of
        self.names: set[object] = set()  # distinct ones so far

    def admit(self, chunk: bytes) -> bytes:
        """The piece, checked.

        Raises:
            SourceRefused: a DOCTYPE, another encoding, or more of something than a record needs.
        """
        self.recent = self.recent[-1], chunk
        inside = chunk if self._prolog is None else self._check_prolog(self._prolog + chunk)
        self._note_plain(inside)
        octets = np.frombuffer(chunk, np.uint8)
        self._markup += int(np.count_nonzero(octets == ord("<")))
        self._equals += int(np.count_nonzero(octets == ord("=")))
        # guard: tags and attributes of a record
        if self._markup > MAX_MARKUP or self._equals > MAX_EQUALS:
            raise SourceRefused(f"more than {MAX_MARKUP:,} tags or {MAX_EQUALS:,} attributes stand in one XML record.")
        if b"xmlns" in chunk:
            self.note_names(_NAMESPACE.findall(chunk))
        self._check_long_tag(chunk)
        return chunk

    def finish(self) -> bytes:
        return b""

    def release(self) -> None:
        self._markup = self._equals = 0

    def note_names(self, names: Iterable[object]) -> None:
        """Names that a slice brought.

        Raises:
            SourceRefused: the document has too many distinct ones.
        """
        for name in set(names) - self.names:
            # guard: length of a name in XML
            if len(str(name)) > MAX_NAME:
                raise SourceRefused(f"a name in the XML document is longer than {MAX_NAME:,} characters.")
            self.names.add(name)
        # guard: distinct names
        if len(self.names) > MAX_NAMES:
            raise SourceRefused(f"the XML document has more than {MAX_NAMES:,} distinct names.")

    def _note_plain(self, inside: bytes) -> None:
        """What lies in the root: two bytes may lie in two pieces."""
        if self.plain and inside:
            text = self._last + inside
            self.plain, self._last = not any(each in text for each in _HIDING), text[-1:]

    def _check_prolog(self, prolog: bytes) -> bytes:
        """Gives what follows it."""
        prolog = prolog.removeprefix(b"\xef\xbb\xbf")
        blank = _MISC.sub(lambda match: b" " * len(match[0]), prolog)
        root = _ROOT.search(blank)
        before = prolog[: root.start()] if root else prolog
        self._check_doctype(blank[: root.start()] if root else blank, whole=root is not None)
        start = before.lstrip()
        encoding = ENCODING.match(start)
        if (start and not start.startswith(b"<")) or b"\0" in before:
            raise SourceRefused(f"the answer is no XML in UTF-8: it starts with {prolog[:20]!r}.")
        # guard: encoding of XML
        if encoding and encoding[1].decode("latin-1").upper() not in ENCODINGS:
            raise SourceRefused(
                f"the XML document is in {encoding[1][:40]!r}; {', '.join(sorted(ENCODINGS))} are read."
            )
        # guard: length of the prolog
        if len(before) > MAX_PROLOG:
            raise SourceRefused(f"no root element in the first {MAX_PROLOG:,} bytes of the XML document.")
        self._prolog = None if root else prolog
        # guard: encoding of XML in blocks
        self.plain = root is None or _USUAL.fullmatch(start) is not None
        return prolog[root.start() :] if root else b""

    def _check_doctype(self, before: bytes, *, whole: bool) -> None:
        if b"<!DOCTYPE" not in before:
            return
        # guard: DOCTYPE before libxml2
        # guard: a DOCTYPE where none is declared
        if not self._doctype:
            raise SourceRefused("the XML document brings a DOCTYPE, which no stream of records needs.")
        # guard: a DOCTYPE declares nothing
        # guard: the internal subset of a DOCTYPE
        if b"[" in before or (whole and not _EXTERNAL.fullmatch(before)):
            raise SourceRefused("the XML document's DOCTYPE declares something itself; only an external one may pass.")

    def _check_long_tag(self, chunk: bytes) -> None:
        """An element with many attributes is a long way without `<`, which attribute values must escape."""
        last = chunk.rfind(b"<")
        if last >= 0:
            self._open, self._look = chunk[last:], LONG_TAG
        else:
            self._open += chunk
        if len(self._open) < self._look:
            return
        self._look = 2 * len(self._open)
        name = _NAME.match(self._open)
        place, count = (name.end() if name else len(self._open)), 0
        while (attribute := _ATTRIBUTE.match(self._open, place)) and count <= MAX_ATTRIBUTES:
            place, count = attribute.end(), count + 1
        # guard: attributes of an element
        if count > MAX_ATTRIBUTES:
            raise SourceRefused(f"an XML element has more than {MAX_ATTRIBUTES} attributes.")


def names_in(elements: Iterable[etree._Element]) -> Iterable[object]:
    """All names below and on some elements."""
    for element in elements:
        for each in element.iter():
            yield each.tag if isinstance(each.tag, str) else getattr(each, "target", None)
            yield from each.keys()
