"""Documents read whole, in blocks, and by the fast parser: the same records or the same complaint."""

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pytest

from flows_platform.domain.errors import MalformedDocument, PlatformError, SourceRefused, StreamIncomplete
from flows_platform.domain.schema import Column, ColumnType, TableSchema
from flows_platform.wire.casting import NotFlatError, as_mappings
from flows_platform.wire.decode import json as json_documents
from flows_platform.wire.decode import xml as xml_documents
from flows_platform.wire.decode.documents import Block, Layout, open_document, opened
from flows_platform.wire.formats import WireFormat
from flows_platform.wire.parser import Parser

from .test_guards import Cut

TABLE = TableSchema("t", "", (Column("a", ColumnType.INT64, ""), Column("b", ColumnType.STRING, "")), "a", "a")
BY_DIGITS = [Column(name, ColumnType.JSON, "") for name in ("a", "b")]  # numbers come as they were sent
SPOILT = (MalformedDocument, SourceRefused, StreamIncomplete)


@contextmanager
def slices_of_one_record() -> Iterator[None]:
    """A slice ends with each record, as after 256 KB: so blocks are cut from the second record on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_documents, "SLICE_BYTES", 1)
        patch.setattr(xml_documents, "SLICE_BYTES", 1)
        yield


def read(body: bytes, sizes: list[int], wire: WireFormat, **layout: object) -> tuple[object, int]:
    """The records with what the footer declares, or the kind of the error; and the number of blocks or batches."""
    document = open_document(wire, Cut(body, sizes), Layout(**{"schema": TABLE, **layout}))  # type: ignore[arg-type]
    records: list[object] = []
    cut, counted = 0, pa.RecordBatch if layout.get("parser") is Parser.FAST else Block
    try:
        for part in document.slices():
            cut += isinstance(part, counted)
            slices = opened(document, part) if isinstance(part, Block) else [part]
            found = [record for each in slices for record in as_mappings(each)]
            records += found
            if isinstance(part, Block):
                assert quickly(part) in (found, None)
    except PlatformError as error:
        return type(error), cut
    return (records, document.declared), cut


def quickly(block: Block) -> object:
    """Its records at once; None where they must be looked at one by one."""
    try:
        return as_mappings(block.flat(BY_DIGITS))
    except (NotFlatError, SourceRefused):
        return None


def cut_alike(body: bytes, sizes: list[int], wire: WireFormat, schema: TableSchema = TABLE) -> int:
    """Read in all ways; the number of blocks. What is spoiled may be called cut short by one that has read to its end.

    The fast parser tries each block: what it gives are batches, or what the reference makes of the block.
    """
    whole, _ = read(body, sizes, wire, schema=schema)
    in_blocks, blocks = read(body, sizes, wire, schema=schema, blocks=True)
    fast, _ = read(body, sizes, wire, schema=schema, blocks=True, parser=Parser.FAST)
    for other in (in_blocks, fast):
        assert other == whole or (other in SPOILT and whole in SPOILT)
    return blocks
