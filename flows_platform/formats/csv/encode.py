"""Writes CSV as in RFC 4180: a header, CRLF line ends, quotes only around values that need them.

NULL is an empty field; the empty text in a nullable column is `""`. The footer, if requested, is a last record `end,N`
or `end,N,digest`.
"""

import re
from collections.abc import Sequence
from functools import cached_property

from flows_platform.domain.schema import TableSchema
from flows_platform.domain.verification import Value
from flows_platform.formats.protocol.encoder import Footer, Row
from flows_platform.formats.protocol.names import END
from flows_platform.formats.protocol.sql_text import (
    Octets,
    count_controls,
    count_of,
    count_up_to,
    identifier,
    is_utf8,
    octets,
)

LINE_END = "\r\n"
SPECIAL = re.compile('[",\r\n]')


class CsvEncoder:
    """Writes one record per line; every line ends with CRLF."""

    record_separator = LINE_END.encode()
    lead = b""
    footer_belongs = False
    chunk_rows = 6144

    def __init__(self, schema: TableSchema) -> None:
        self._schema = schema
        self._nullable = [column.nullable for column in schema.columns]

    @cached_property
    def record_sql(self) -> str:
        # concat_ws skips NULLs and their separators: the caller has made sure that there are none.
        return f"concat_ws(',', {', '.join(map(identifier, self._schema.names))})"

    def prologue(self) -> bytes:
        return (",".join(map(_field, self._schema.names)) + LINE_END).encode()

    def encode(self, rows: Sequence[Row]) -> bytes:
        return "".join([self._line(row) for row in rows]).encode()

    def assembled(self, records: bytes, rows: int) -> bytes | None:
        return records + self.record_separator if self.is_plain(records, rows) else None

    def is_plain(self, records: bytes, rows: int) -> bool:
        """Whether the only commas and control characters are those between the values, and the text is UTF-8."""
        commas, ends = rows * (len(self._nullable) - 1), len(LINE_END) * (rows - 1)
        return b'"' not in records and is_utf8(records) and self._has_no_others(octets(records), commas, ends)

    def _has_no_others(self, data: Octets, commas: int, ends: int) -> bool:
        # Nearly all characters up to the comma are the line ends and commas themselves, so one count usually suffices.
        return count_up_to(data, ",") == commas + ends or (
            count_controls(data) == ends and count_of(data, ",") == commas
        )

    def footer(self, footer: Footer) -> bytes:
        digest = "" if footer.digest is None else f",{footer.digest}"
        return f"{END},{footer.count}{digest}{LINE_END}".encode()

    def epilogue(self) -> bytes:
        return b""

    def _line(self, row: Row) -> str:
        return (
            ",".join([_field(value, nullable=nullable) for value, nullable in zip(row, self._nullable, strict=True)])
            + LINE_END
        )


def _field(value: Value, *, nullable: bool = False) -> str:
    if value is None:
        return ""
    text = str(value)
    if SPECIAL.search(text) or (nullable and not text):
        return '"' + text.replace('"', '""') + '"'
    return text
