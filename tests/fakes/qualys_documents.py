"""The XML documents of Qualys' API 2.0, piece by piece: envelope, lists, warnings, keep-alive comments, SIMPLE_RETURN.

What goes into an answer is decided in qualys_server.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from xml.sax.saxutils import escape

DECLARATION = '<?xml version="1.0" encoding="UTF-8" ?>\n'
EVALUATION = "<!-- This report was generated with an evaluation version of Qualys //--> \n"
NOTICE = "<!-- CONFIDENTIAL. Generated for tests, of the shape of a vendor's answer. //--> \n"


def document(root: str, dtd: str, now: str, body: Iterable[bytes], *, keep_alive_every: int) -> Iterator[bytes]:
    """A whole answer around the pieces of `body`.

    With a keep-alive comment before the first piece and each so many further ones (0: none at all); the real service
    sends it while it works: before the list, and where there is no list after the end.
    """
    comment = f"<!-- keep-alive for {root}  -->\n".encode()
    doctype = f'<!DOCTYPE {root} SYSTEM "{dtd}">\n'
    yield f"{DECLARATION}{doctype}{EVALUATION}<{root}>\n  <RESPONSE>\n    <DATETIME>{now}</DATETIME>\n".encode()
    place = -1
    for place, piece in enumerate(body):
        if keep_alive_every and place % keep_alive_every == 0:
            yield comment
        yield piece
    yield f"  </RESPONSE>\n</{root}>\n{EVALUATION}{NOTICE}".encode()
    if keep_alive_every and place < 0:
        yield comment


def listed(name: str, records: Iterator[bytes]) -> Iterator[bytes]:
    """The records inside their list element; without any there is no such element."""
    first = next(records, None)
    if first is None:
        return
    yield f"    <{name}>\n".encode()
    yield from chain([first], records)
    yield f"    </{name}>\n".encode()


def host(head: bytes, detections: Iterable[bytes]) -> bytes:
    inner = b"".join(b"          %b\n" % detection for detection in detections)
    found = b"        <DETECTION_LIST>\n%b        </DETECTION_LIST>\n" % inner if inner else b""
    return b"      <HOST>\n%b%b      </HOST>\n" % (head, found)


def truncation_warning(limit: int, url: str) -> bytes:
    return (
        f"    <WARNING>\n      <CODE>1980</CODE>\n"
        f"      <TEXT>{limit} record limit exceeded. Use URL to get next batch of results.</TEXT>\n"
        f"      <URL><![CDATA[{url}]]></URL>\n    </WARNING>\n"
    ).encode()


def simple_return(dtd: str, now: str, code: int, text: str, items: Mapping[str, object]) -> bytes:
    pairs = "".join(
        f"      <ITEM>\n        <KEY>{key}</KEY>\n        <VALUE>{value}</VALUE>\n      </ITEM>\n"
        for key, value in items.items()
    )
    tail = f"    <ITEM_LIST>\n{pairs}    </ITEM_LIST>\n" if pairs else ""
    return (
        f'{DECLARATION}<!DOCTYPE SIMPLE_RETURN SYSTEM "{dtd}">\n<SIMPLE_RETURN>\n  <RESPONSE>\n'
        f"    <DATETIME>{now}</DATETIME>\n    <CODE>{code}</CODE>\n    <TEXT>{escape(text)}</TEXT>\n{tail}"
        f"  </RESPONSE>\n</SIMPLE_RETURN>\n"
    ).encode()
