"""Opens a document of any format with that format's decoder."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from flows_platform.columns.casting import Slice, cast_slice
from flows_platform.columns.paths import RecordPath
from flows_platform.domain.schema import Column, ColumnType, TableSchema
from flows_platform.formats.arrow.decode import ArrowDocument
from flows_platform.formats.csv.decode import CsvDocument
from flows_platform.formats.csv.dialect import RFC_4180, CsvDialect
from flows_platform.formats.json.arrays import NamedArrays, Names
from flows_platform.formats.json.decode import JsonDocument
from flows_platform.formats.json.lines_decode import NdjsonDocument
from flows_platform.formats.json.members import Members
from flows_platform.formats.protocol.envelope import DeclaredTotal, ErrorDocument
from flows_platform.formats.protocol.metered_reader import RECORD_BYTES, ByteSource
from flows_platform.formats.protocol.names import RECORD, RECORDS, Parser, WireFormat
from flows_platform.formats.templates.blocks import Flat
from flows_platform.formats.xml.decode import XmlDocument


class Document(Protocol):
    """A document whose records come in slices.

    Once all slices are read, `declared` is the total from the footer, and `enclosed` says whether the document marked
    its end.
    """

    @property
    def declared(self) -> DeclaredTotal | None: ...

    @property
    def enclosed(self) -> bool: ...

    def slices(self) -> Iterator[Slice]: ...


@dataclass(frozen=True, slots=True)
class Layout:
    """Where records are in a document and how to read them.

    Attributes:
        schema: The table's columns.
        records: The container's name or path, in formats that have one.
        record: The name of a record's element, in XML.
        footer: The request asked for a footer in a format that has none by itself: it must be there.
        record_bytes: The most bytes that one record may take.
        whole: Records keep everything nested in them, and XML keeps its envelope.
        total: Path to the number of records in the envelope.
        errors: How to recognize an error document.
        nothing: Answers that mean no records: `missing`, `null`.
        enveloped: XML keeps its envelope.
        doctype: XML may have an external DOCTYPE.
        plain_names: XML names are read without their namespace.
        parser: Whether templates may read text formats.
        extra: The column for unknown fields, which the source does not send.
        dialect: The dialect of CSV.
        fields: The names that a CSV header may have.
        proven: The transfer proves its own end.
        one_record: In JSON, an object where the array would be is one record.
        names: In JSON and its lines, the names of the values of arrays, which are the records or, with `rows`, in them.
        rows: The path to the arrays in a record.
        record_key: In JSON, the field for the names of an object's members, which are the records.
    """

    schema: TableSchema
    records: str = RECORDS
    record: str = RECORD
    footer: bool = False
    record_bytes: int = RECORD_BYTES
    whole: bool = False
    total: RecordPath | None = None
    errors: ErrorDocument | None = None
    nothing: frozenset[str] = frozenset()
    enveloped: bool = False
    doctype: bool = False
    plain_names: bool = False
    parser: Parser = Parser.TEMPLATE
    extra: str | None = None
    dialect: CsvDialect = RFC_4180
    fields: frozenset[str] = frozenset()
    proven: bool = False
    one_record: bool = False
    names: Names | None = None
    rows: RecordPath | None = None
    record_key: str | None = None

    @property
    def blank(self) -> frozenset[str]:
        """The columns for which an empty cell is NULL, in CSV whose cells are the columns."""
        return frozenset(
            column.name for column in self.columns if column.nullable and column.type is not ColumnType.STRING
        )

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that the source sends."""
        return tuple(column for column in self.schema.columns if column.name != self.extra)

    @property
    def flat(self) -> Flat | None:
        """What templates may read: records as flat as the columns. None if only the reference may read."""
        return (
            Flat(self.columns, self.certain, self.record_bytes)
            if self.parser is Parser.TEMPLATE and not self.whole
            else None
        )

    def certain(self, batch: pa.RecordBatch) -> pa.RecordBatch | None:
        """A batch of the columns, cast; None if casting rejects a record, which the reference parser must then read."""
        casted = cast_slice(self.schema, batch, 0, self.extra)
        return None if casted.rejects else casted.batch.select([column.name for column in self.columns])

    @property
    def arrays(self) -> NamedArrays | None:
        """What makes objects of arrays, if records are or have such."""
        return NamedArrays(self.names, self.rows) if self.names else None

    @property
    def keeps_envelope(self) -> bool:
        return self.whole or self.enveloped or self.errors is not None


OPENERS: dict[WireFormat, Callable[[ByteSource, Layout], Document]] = {
    WireFormat.ARROW: lambda source, layout: ArrowDocument(source, footer=layout.footer),
    WireFormat.NDJSON: lambda source, layout: NdjsonDocument(
        source,
        layout.columns,
        footer=layout.footer,
        record_bytes=layout.record_bytes,
        template=layout.flat,
        arrays=layout.arrays,
        errors=layout.errors,
        proven=layout.proven,
    ),
    WireFormat.JSON: lambda source, layout: JsonDocument(
        source,
        layout.records,
        layout.record_bytes,
        errors=layout.errors,
        total=layout.total,
        nothing=layout.nothing,
        one_record=layout.one_record,
        arrays=layout.arrays,
        members=Members(layout.record_key) if layout.record_key else None,
        template=layout.flat,
    ),
    WireFormat.CSV: lambda source, layout: CsvDocument(
        source,
        footer=layout.footer,
        record_bytes=layout.record_bytes,
        dialect=layout.dialect,
        known=layout.fields,
        blank=frozenset() if layout.whole else layout.blank,
        errors=layout.errors,
        proven=layout.proven,
        template=layout.flat,
    ),
    WireFormat.XML: lambda source, layout: XmlDocument(
        source,
        layout.records,
        layout.record,
        layout.record_bytes,
        whole=layout.whole,
        enveloped=layout.keeps_envelope,
        errors=layout.errors,
        doctype=layout.doctype,
        total=layout.total,
        nothing=layout.nothing,
        plain_names=layout.plain_names,
        template=layout.flat,
    ),
}


def open_document(wire: WireFormat, source: ByteSource, layout: Layout) -> Document:
    """Open the document that `source` reads."""
    return OPENERS[wire](source, layout)


def envelope_of(document: Document) -> Mapping[str, object]:
    """The envelope around the records, once these are read; empty for formats without one."""
    return document.envelope if isinstance(document, JsonDocument | XmlDocument) else {}
