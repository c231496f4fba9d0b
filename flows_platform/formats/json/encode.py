"""Writes a JSON document: `{"records":[…],"end":{"count":N}}`, one record per line; with a digest if requested."""

from collections.abc import Sequence
from functools import cached_property

from flows_platform.domain.schema import TableSchema
from flows_platform.formats.json.lines_encode import NdjsonEncoder, end_member
from flows_platform.formats.protocol.encoder import Footer, Row
from flows_platform.formats.protocol.names import RECORDS

LEAD = ",\n"


class JsonEncoder:
    """Writes NDJSON's records, separated by commas, in a document that a cut leaves open."""

    record_separator = b""
    lead = LEAD.encode()
    footer_belongs = True
    chunk_rows = NdjsonEncoder.chunk_rows

    def __init__(self, schema: TableSchema) -> None:
        self._records = NdjsonEncoder(schema)

    @cached_property
    def record_sql(self) -> str:
        return self._records.sql(LEAD, "")

    def prologue(self) -> bytes:
        return f'{{"{RECORDS}":[\n'.encode()

    def encode(self, rows: Sequence[Row]) -> bytes:
        return "".join([f"{LEAD}{line}" for line in self._records.lines(rows)]).encode()

    def assembled(self, records: bytes, rows: int) -> bytes | None:
        return records if self._records.is_plain(records, rows) else None

    def footer(self, footer: Footer) -> bytes:
        return f"\n],{end_member(footer)}".encode()

    def epilogue(self) -> bytes:
        return b"}\n"
