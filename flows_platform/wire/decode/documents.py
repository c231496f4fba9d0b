"""The decoder of each format, by one exhaustive map."""

from collections.abc import Callable, Iterator
from typing import Protocol

from flows_platform.domain.schema import TableSchema
from flows_platform.wire.casting import Slice
from flows_platform.wire.decode.arrow import ArrowDocument
from flows_platform.wire.decode.csv import CsvDocument
from flows_platform.wire.decode.json import JsonDocument
from flows_platform.wire.decode.ndjson import NdjsonDocument
from flows_platform.wire.decode.source import ByteSource
from flows_platform.wire.decode.xml import XmlDocument
from flows_platform.wire.formats import WireFormat


class Document(Protocol):
    """Records in slices; `declared` is the footer's count, known once the slices are read."""

    @property
    def declared(self) -> int | None: ...

    def slices(self) -> Iterator[Slice]: ...


type Opener = Callable[[ByteSource, TableSchema, str, str], Document]

OPENERS: dict[WireFormat, Opener] = {
    WireFormat.ARROW: lambda source, _schema, _records, _record: ArrowDocument(source),
    WireFormat.NDJSON: lambda source, schema, _records, _record: NdjsonDocument(source, schema),
    WireFormat.JSON: lambda source, _schema, records, _record: JsonDocument(source, records),
    WireFormat.CSV: lambda source, _schema, _records, _record: CsvDocument(source),
    WireFormat.XML: lambda source, _schema, records, record: XmlDocument(source, records, record),
}


def open_document(wire: WireFormat, source: ByteSource, schema: TableSchema, records: str, record: str) -> Document:
    """The document on `source`; `records` and `record` name the container and the element where the format has them."""
    return OPENERS[wire](source, schema, records, record)
