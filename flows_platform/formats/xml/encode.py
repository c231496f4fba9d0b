"""Writes an XML document: `<records><record><id>1</id>…</record>…<?end count="N"?></records>`.

Text is escaped; CR becomes `&#13;`, since a parser turns a raw CR into LF. Text with characters that XML 1.0 does not
allow is sent in base64, with an attribute that says so. For NULL, the element is left out. The digest, if requested,
follows the count.
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from functools import cached_property

from flows_platform.domain.schema import ColumnType, TableSchema
from flows_platform.domain.verification import Value
from flows_platform.formats.protocol.encoder import Footer, Row
from flows_platform.formats.protocol.names import BASE64, COUNT, DIGEST, ENCODING_ATTRIBUTE, END, RECORD, RECORDS
from flows_platform.formats.protocol.sql_text import concat, count_angles, has_controls, is_ascii, is_utf8, octets

# The complement of XML 1.0's Char production: https://www.w3.org/TR/xml/#NT-Char
FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
NONCHARACTERS = ("\ufffe".encode(), "\uffff".encode())
ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
# Whether values of a type may contain markup; numbers and dates need no check.
IS_TEXT = {
    ColumnType.INT64: False,
    ColumnType.STRING: True,
    ColumnType.TIMESTAMP: True,
    ColumnType.FLOAT64: False,
    ColumnType.BOOL: False,
    ColumnType.JSON: True,
    ColumnType.DATE: False,
    ColumnType.NUMERIC: False,
}


class XmlEncoder:
    """Writes records without white space between them, since white space in elements is data."""

    record_separator = b""
    lead = b""
    footer_belongs = True
    chunk_rows = 1600

    def __init__(self, schema: TableSchema) -> None:
        self._schema = schema
        self._texts = [IS_TEXT[column.type] for column in schema.columns]
        self._tags = 2 * len(schema.columns) + 2

    @cached_property
    def record_sql(self) -> str:
        pieces: list[tuple[str, str]] = []
        before = f"<{RECORD}>"
        for name in self._schema.names:
            pieces.append((f"{before}<{name}>", name))
            before = f"</{name}>"
        return concat([*pieces, (f"{before}</{RECORD}>", "")])

    def prologue(self) -> bytes:
        return f"<?xml version='1.0' encoding='UTF-8'?><{RECORDS}>".encode()

    def encode(self, rows: Sequence[Row]) -> bytes:
        return "".join([self._record(row) for row in rows]).encode()

    def assembled(self, records: bytes, rows: int) -> bytes | None:
        """The records, if all angle brackets belong to the tags and no other character needs escaping; None if not."""
        data = octets(records)
        # guard: & is escaped
        # guard: control characters in XML
        # guard: lone angle brackets are escaped
        plain = (
            b"&" not in records
            and (is_ascii(data) or _is_xml_text(records))
            and not has_controls(data)
            and count_angles(data) == rows * 2 * self._tags
        )
        return records if plain else None

    def footer(self, footer: Footer) -> bytes:
        digest = "" if footer.digest is None else f' {DIGEST}="{footer.digest}"'
        return f'<?{END} {COUNT}="{footer.count}"{digest}?>'.encode()

    def epilogue(self) -> bytes:
        return f"</{RECORDS}>".encode()

    def _record(self, row: Row) -> str:
        elements = [
            _element(name, value, is_text=is_text)
            for name, value, is_text in zip(self._schema.names, row, self._texts, strict=True)
        ]
        return f"<{RECORD}>{''.join(elements)}</{RECORD}>"


def _is_xml_text(data: bytes) -> bool:
    # Called only for chunks beyond ASCII: a search for three bytes takes longer than assembling the chunk.
    return is_utf8(data) and not any(bad in data for bad in NONCHARACTERS)


def _element(name: str, value: Value, *, is_text: bool) -> str:
    if value is None:
        return ""
    text = str(value)
    if is_text and FORBIDDEN.search(text):
        coded = b64encode(text.encode()).decode()
        return f'<{name} {ENCODING_ATTRIBUTE}="{BASE64}">{coded}</{name}>'
    return f"<{name}>{text.translate(ESCAPES) if is_text else text}</{name}>"
