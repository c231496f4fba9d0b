"""One JSON document: `{"records":[…],"end":{"count":N}}`, a record a line."""

from collections.abc import Sequence
from functools import cached_property

from flows_platform.domain.schema import TableSchema
from flows_platform.wire.encode.encoder import Row
from flows_platform.wire.encode.ndjson import NdjsonEncoder
from flows_platform.wire.formats import END, RECORDS

BETWEEN = b",\n"


class JsonEncoder:
    """NDJSON's records with commas, in a document that a cut leaves open."""

    record_separator = BETWEEN
    separator = BETWEEN
    chunk_rows = NdjsonEncoder.chunk_rows

    def __init__(self, schema: TableSchema) -> None:
        self._records = NdjsonEncoder(schema)

    @cached_property
    def record_sql(self) -> str:
        return self._records.record_sql

    def prologue(self) -> bytes:
        return f'{{"{RECORDS}":[\n'.encode()

    def encode(self, rows: Sequence[Row]) -> bytes:
        return ",\n".join(self._records.lines(rows)).encode()

    def assembled(self, records: bytes, rows: int) -> bytes | None:
        return records if self._records.is_plain(records, rows) else None

    def epilogue(self, count: int) -> bytes:
        return f'\n],"{END}":{{"count":{count}}}}}\n'.encode()
