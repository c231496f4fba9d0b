"""Blocks of whole records, cut out of an XML document's bytes: each is decoded by itself, in any process.

Only where the end of a record can be nothing else: in a plain document, and only from where its own parser tells by an
instruction of ours that it stands between two records. From there on tags are counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from lxml import etree

from flows_platform.domain.errors import MalformedDocument, SourceRefused
from flows_platform.domain.schema import Column
from flows_platform.wire.casting import NotFlatError
from flows_platform.wire.decode.characters import invalid_in_xml
from flows_platform.wire.decode.flat_elements import flat_columns
from flows_platform.wire.decode.xml_guard import XmlGuard

CUT = "flows-cut"  # target of our instruction
INSTRUCTION = f"<?{CUT}?>".encode()
SHOWN = 200  # characters of the parser's own words
STRING = "(<string>, line 1)"  # a place in what libxml2 was fed: of no use
BETWEEN = b"\n"  # what the parser gets of a piece that was cut: it may stand between records


@dataclass(frozen=True, slots=True)
class XmlBlock:
    """`<record>…</record><record>…</record>`: records whole; `names` were seen in the document before."""

    content: bytes
    record: str
    names: frozenset[object]

    def flat(self, _columns: Sequence[Column]) -> pa.RecordBatch:
        """All of them as columns of texts, whatever their names.

        Raises:
            NotFlatError: the records nest, or bring names that were not seen yet: the document's decoder must look.
            MalformedDocument: it is not well-formed.
        """
        root = self.parsed()
        columns = flat_columns(root, self.record, len(root))
        if columns is None or not self.names.issuperset(columns.schema.names):
            raise NotFlatError
        return columns

    def parsed(self) -> etree._Element:
        """The records, under a root of their own.

        Raises:
            MalformedDocument: it is not well-formed.
        """
        try:
            return etree.fromstring(b"<records>" + self.content + b"</records>", etree.XMLParser(huge_tree=True))
        except etree.XMLSyntaxError as error:
            raise not_xml(error, self.content) from error


class XmlCutter:
    """Cuts blocks out of the pieces that `guard` has just looked at, for as long as the document is plain."""

    def __init__(self, record: str, guard: XmlGuard) -> None:
        self._record = record
        self._guard = guard
        self._closing = f"</{record}>".encode()
        self._rest = b""  # what followed a record
        self._block: bytes | None = None
        self._marked = False  # the parser got the instruction
        self._between = False  # and told that it stands between two records

    def proven(self) -> None:
        """The parser has told of the instruction, as a child of the root."""
        self._between = True

    def cut(self, piece: bytes) -> bytes:
        text, self._rest = self._rest + piece, b""
        end = text.rfind(self._closing) + len(self._closing)
        if not self._guard.plain or end < len(self._closing):
            self._between = False
            return text
        if not self._marked:
            self._marked, self._rest = True, text[end:]
            return text[:end] + INSTRUCTION
        block = text[:end]
        self._between = self._between and _is_balanced(block)
        if not self._between:
            return text
        self._block, self._rest = block, text[end:]
        return BETWEEN

    def finish(self) -> bytes:
        rest, self._rest = self._rest, b""
        return rest

    def taken(self) -> XmlBlock | None:
        """The block that follows the records so far, once."""
        content, self._block = self._block, None
        return None if content is None else XmlBlock(content, self._record, frozenset(self._guard.names))


def not_xml(error: etree.XMLSyntaxError, text: bytes) -> SourceRefused | MalformedDocument:
    """What libxml2 found in the text, as an error of ours."""
    return invalid_in_xml(text) or MalformedDocument(f"the answer is not well-formed XML ({brief(error)}).")


def brief(error: etree.XMLSyntaxError) -> str:
    """The parser's own words, shortened."""
    return str(error).removesuffix(STRING)[:SHOWN]


def _is_balanced(block: bytes) -> bool:
    """As many elements end as begin, so that the last one to end lies where the first one began: under the root.

    Not known, and so denied, where a text or an attribute holds a `>`.
    """
    octets = np.frombuffer(block, np.uint8)
    begins, ends = np.flatnonzero(octets == ord("<")), np.flatnonzero(octets == ord(">"))
    closing = np.count_nonzero(octets[begins + 1] == ord("/"))
    empty = np.count_nonzero(octets[ends - 1] == ord("/"))
    return bool(len(begins) == len(ends) and 2 * closing + empty == len(begins))
