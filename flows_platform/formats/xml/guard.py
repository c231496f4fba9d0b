"""Keeps from libxml2 what it would accept: DTDs, and documents made to fill its memory.

libxml2's own limits (256 levels, 10 MB of text, names of 50,000 bytes) are lifted, since a table's YAML cannot set
them. It then stops at 2,048 levels. `record_bytes` limits a text. Entities, which multiply text, need a DTD, which is
refused. libxml2 accepts 400,000 attributes on an element (116 MB) and keeps every distinct name as long as the thread
lives (2 million: 318 MB). The guard takes about 2 % of the parser's time.
"""

import re
from collections.abc import Iterable

import numpy as np
from lxml import etree

from flows_platform.domain.errors import SourceRefused
from flows_platform.formats.protocol.characters import ENCODING

MAX_PROLOG = 1 << 16  # bytes before the root element
MAX_MARKUP = 200_000  # `<` in one slice: four bytes of input become 120 bytes of tree
MAX_EQUALS = 150_000  # `=` in one slice: an attribute takes 290 bytes
MAX_ATTRIBUTES = 256  # on one element
MAX_NAMES = 4096  # distinct names of elements, attributes, instructions and namespaces in one document
MAX_NAME = 2048  # characters of one name, including its namespace
LONG_TAG = 1 << 15  # bytes without `<` after which attributes are counted
ENCODINGS = {"UTF-8", "US-ASCII", "ASCII", "ISO-8859-1", "WINDOWS-1252"}  # their markup has the same bytes as in ASCII

_ROOT = re.compile(rb"<[A-Za-z_:\x80-\xff]")
_MISC = re.compile(rb"<!--.*?(?:-->|\Z)|<\?.*?(?:\?>|\Z)", re.DOTALL)  # may contain text that looks like markup
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
# A prefix ends at a colon: so no byte is looked at twice, however often the text repeats `xmlns`.
_NAMESPACE = re.compile(rb"""xmlns(?::[^\s=:]+)?\s*=\s*["'][^"']{0,1000}""")


class XmlGuard:
    """Checks the pieces of one document in order and passes them on unchanged.

    With `doctype`, a DOCTYPE may name an external DTD, which is never read; the DOCTYPE itself may declare nothing. A
    document is `plain` while it is in UTF-8 without comments, CDATA or instructions, so that every `<` begins a tag.
    """

    def __init__(self, *, doctype: bool = False) -> None:
        self.plain = True
        self._doctype = doctype
        self._prolog: bytes | None = b""
        self._markup = self._equals = 0
        self._last = b""  # the last byte so far
        self._open = b""  # the bytes from the last `<` on
        self._look = LONG_TAG
        self.recent = (b"", b"")  # the last two pieces, to find the character of a parser's error in them
        self.names: set[object] = set()  # distinct names so far

    def admit(self, chunk: bytes) -> bytes:
        """Check a piece, and return it.

        Raises:
            SourceRefused: it has a DOCTYPE, another encoding, or more tags, attributes or names than the limits.
        """
        self.recent = self.recent[-1], chunk
        inside = chunk if self._prolog is None else self._check_prolog(self._prolog + chunk)
        self._note_plain(inside)
        octets = np.frombuffer(chunk, np.uint8)
        self._markup += int(np.count_nonzero(octets == ord("<")))
        self._equals += int(np.count_nonzero(octets == ord("=")))
        # guard: tags and attributes of a record
        if self._markup > MAX_MARKUP or self._equals > MAX_EQUALS:
            raise SourceRefused(f"an XML record has more than {MAX_MARKUP:,} tags or {MAX_EQUALS:,} attributes.")
        if b"xmlns" in chunk:
            self.note_names(_NAMESPACE.findall(chunk))
        self._check_long_tag(chunk)
        return chunk

    def finish(self) -> bytes:
        return b""

    def release(self) -> None:
        self._markup = self._equals = 0

    def note_names(self, names: Iterable[object]) -> None:
        """Add the names of a slice.

        Raises:
            SourceRefused: a name is too long, or the document has too many distinct names.
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
        """Check the bytes inside the root; the two bytes of a mark may come in two pieces."""
        if self.plain and inside:
            text = self._last + inside
            self.plain, self._last = not any(mark in text for mark in _HIDING), text[-1:]

    def _check_prolog(self, prolog: bytes) -> bytes:
        """Check the prolog, and return the bytes after it."""
        prolog = prolog.removeprefix(b"\xef\xbb\xbf")
        blank = _MISC.sub(lambda match: b" " * len(match[0]), prolog)
        root = _ROOT.search(blank)
        before = prolog[: root.start()] if root else prolog
        self._check_doctype(blank[: root.start()] if root else blank, whole=root is not None)
        start = before.lstrip()
        encoding = ENCODING.match(start)
        if (start and not start.startswith(b"<")) or b"\0" in before:
            raise SourceRefused(f"the answer is not XML in UTF-8: it starts with {prolog[:20]!r}.")
        # guard: encoding of XML
        if encoding and encoding[1].decode("latin-1").upper() not in ENCODINGS:
            raise SourceRefused(
                f"the XML document is in {encoding[1][:40]!r}; {', '.join(sorted(ENCODINGS))} are supported."
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
            raise SourceRefused("the XML document has a DOCTYPE, which no stream of records needs.")
        # guard: a DOCTYPE declares nothing
        # guard: the internal subset of a DOCTYPE
        if b"[" in before or (whole and not _EXTERNAL.fullmatch(before)):
            raise SourceRefused(
                "the XML document's DOCTYPE declares names of its own; only an external DTD is allowed."
            )

    def _check_long_tag(self, chunk: bytes) -> None:
        """Refuse an element with many attributes: it is long and without `<`, which attribute values must escape."""
        last = chunk.rfind(b"<")
        if last >= 0:
            self._open, self._look = chunk[last:], LONG_TAG
        else:
            self._open += chunk
        if len(self._open) < self._look:
            return
        self._look = 2 * len(self._open)
        name = _NAME.match(self._open)
        position, count = (name.end() if name else len(self._open)), 0
        while (attribute := _ATTRIBUTE.match(self._open, position)) and count <= MAX_ATTRIBUTES:
            position, count = attribute.end(), count + 1
        # guard: attributes of an element
        if count > MAX_ATTRIBUTES:
            raise SourceRefused(f"an XML element has more than {MAX_ATTRIBUTES} attributes.")


def names_in(elements: Iterable[etree._Element]) -> Iterable[object]:
    """All names of the elements, of the elements below them and of their attributes."""
    for element in elements:
        for node in element.iter():
            yield node.tag if isinstance(node.tag, str) else getattr(node, "target", None)
            yield from node.keys()
