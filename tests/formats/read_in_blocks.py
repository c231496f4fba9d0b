"""Reads documents by their own parser alone and with templates: the same records or the same error."""

import pytest

from flows_platform.columns.casting import as_mappings, cast_slice
from flows_platform.domain.errors import MalformedDocument, PlatformError, SourceRefused, StreamIncomplete
from flows_platform.domain.schema import Column, ColumnType, TableSchema
from flows_platform.formats.decoders import Layout, open_document
from flows_platform.formats.protocol.names import Parser, WireFormat
from flows_platform.formats.templates.blocks import Proven, TemplateReader

from .test_guards import Cut

TABLE = TableSchema("t", "", (Column("a", ColumnType.INT64, ""), Column("b", ColumnType.STRING, "")), "a", "a")
SPOILT = (MalformedDocument, SourceRefused, StreamIncomplete)


def read(body: bytes, sizes: list[int], wire: WireFormat, **layout: object) -> tuple[object, int]:
    """The records with what the footer declares, or the kind of the error; and the number of proven blocks."""
    document = open_document(wire, Cut(body, sizes), Layout(**{"schema": TABLE, **layout}))  # type: ignore[arg-type]
    records: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        proven: list[Proven] = []
        patch.setattr(TemplateReader, "proved", lambda _, found: proven.append(found))
        try:
            for piece in document.slices():
                records += as_mappings(piece)
        except PlatformError as error:
            return type(error), len(proven)
    return (records, document.declared), len(proven)


def cast(body: bytes, sizes: list[int], wire: WireFormat, **layout: object) -> object:
    """The rows and rejects in their order, with what the footer declares; or the kind of the error."""
    whole = Layout(**{"schema": TABLE, **layout})  # type: ignore[arg-type]
    document = open_document(wire, Cut(body, sizes), whole)
    rows: list[object] = []
    seen = 0
    try:
        for piece in document.slices():
            casted = cast_slice(whole.schema, piece, seen, whole.extra)
            seen += casted.batch.num_rows + len(casted.rejects)
            good = [*zip(casted.positions, casted.batch.to_pylist(), strict=True)]
            rows += [*good, *((reject.position, reject.reason, reject.raw) for reject in casted.rejects)]
    except PlatformError as error:
        return type(error)
    return sorted(rows, key=lambda row: row[0]), document.declared  # type: ignore[index]


def read_alike(body: bytes, sizes: list[int], wire: WireFormat, **layout: object) -> int:
    """Read in both ways and compare; returns the number of proven blocks."""
    whole = cast(body, sizes, wire, parser=Parser.REFERENCE, **layout)
    proven = cast(body, sizes, wire, **layout)
    assert proven == whole or (proven in SPOILT and whole in SPOILT)
    return read(body, sizes, wire, **layout)[1]
