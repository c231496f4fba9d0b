"""Reads a document with templates and by the reference alone: the same rows, rejects and footer, or the same error."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import Any, cast

import pyarrow as pa
import pytest

from flows_platform.columns.casting import cast_slice
from flows_platform.domain.errors import PlatformError, SourceUnavailable
from flows_platform.domain.schema import Column, ColumnType, TableSchema
from flows_platform.formats.decoders import Layout, envelope_of, open_document
from flows_platform.formats.protocol.names import Parser, WireFormat
from flows_platform.formats.templates import blocks

from .test_guards import Cut

PIECES = ([1 << 20], [700, 33, 4096], [257])  # bytes per read of the source
_SIZES = cycle(PIECES)
# The position in a native parser's message, and the text before a character: both depend on how bytes are cut.
OWN_WORDS = re.compile(
    r"(?<= valid JSON) \(.*\)|(?<= ends early) \(.*\)|(?<=well-formed XML) \(.*\)|(?<= after ).*", re.DOTALL
)


def table(**types: str) -> TableSchema:
    """A table of these columns; `?` after a type's name lets it be NULL."""
    columns = [
        Column(name, ColumnType(kind.removesuffix("?")), "", nullable=kind.endswith("?"))
        for name, kind in types.items()
    ]
    return TableSchema("t", "", tuple(columns), columns[0].name, columns[0].name)


TABLE = table(a="int64", b="string", t="timestamp", d="bool", n="int64?")


@dataclass(frozen=True)
class Outcome:
    """What a document gave: rows with positions, rejects and the envelope; or an error."""

    rows: object = None
    rejects: object = None
    around: object = None
    error: object = None


class Failing(Cut):
    """A source that fails at the end of its bytes."""

    def read(self, size: int | None = -1, /) -> bytes:
        if piece := super().read(size):
            return piece
        raise SourceUnavailable("the connection ended.")


@contextmanager
def blocks_of(size: int) -> Iterator[None]:
    """Blocks of this number of bytes, as if the document were long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", size)
        patch.setattr(blocks, "LONGEST", 4 * size)
        yield


def read(
    wire: WireFormat,
    body: bytes,
    sizes: list[int],
    parser: Parser,
    schema: TableSchema = TABLE,
    *,
    fails: bool = False,
    **layout: object,
) -> tuple[Outcome, int]:
    """What the document gives, and how many rows of it came in batches."""
    source = Failing(body, sizes) if fails else Cut(body, sizes)
    document = open_document(wire, source, Layout(schema, parser=parser, **layout))  # type: ignore[arg-type]
    extra = cast("str | None", layout.get("extra"))
    rows, rejects, position, proven = [], [], 1, 0
    try:
        for piece in document.slices():
            casted = cast_slice(schema, piece, position, extra)
            rows += list(zip(casted.positions, map(repr, casted.batch.to_pylist()), strict=True))
            rejects += casted.rejects
            position += piece.num_rows if isinstance(piece, pa.RecordBatch) else len(getattr(piece, "values", piece))  # type: ignore[arg-type]
            proven += piece.num_rows if isinstance(piece, pa.RecordBatch) else 0
    except PlatformError as error:
        return Outcome(error=(type(error), OWN_WORDS.sub("", str(error)))), proven
    return Outcome(rows, rejects, (document.declared, document.enclosed, envelope_of(document))), proven


def read_alike(wire: WireFormat, body: bytes, schema: TableSchema = TABLE, **layout: Any) -> int:
    """Assert that both ways give the same; returns the number of rows in batches. Every read has other pieces.

    Which of two errors the reference raises depends on its pieces, so the error may equal that of any read.
    """
    found, proven = read(wire, body, next(_SIZES), Parser.TEMPLATE, schema, **layout)
    others = (read(wire, body, sizes, Parser.REFERENCE, schema, **layout)[0] for sizes in PIECES)
    first = next(others)
    assert found == first or ((found.error or first.error) and found in others), f"{found}\n{first}\n{body[:4000]!r}"
    return proven
