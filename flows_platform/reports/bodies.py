"""Rows of a report as bytes in every format. JSON is an envelope around the rows; the others are as for streams."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from flows_platform.domain.decimals import plain
from flows_platform.domain.verification import Value as Cell
from flows_platform.formats.encoders import for_format
from flows_platform.formats.json.lines_encode import NdjsonEncoder
from flows_platform.formats.protocol.encoder import Footer
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.reports.values import json_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from flows_platform.reports.values import Value

CHUNK = 4096  # rows that are Python objects at once


def arrow_bytes(table: "pa.Table") -> bytes:
    """The rows as an Arrow stream."""
    import pyarrow as pa  # noqa: PLC0415 - takes 40 MB and a third of a second

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    body: bytes = sink.getvalue().to_pybytes()
    return body


def table_of(body: bytes) -> "pa.Table":
    """The rows of an Arrow stream."""
    import pyarrow as pa  # noqa: PLC0415 - as above

    return pa.ipc.open_stream(pa.py_buffer(body)).read_all()


def encoded(
    report: ReportDeclaration,
    values: "Mapping[str, Value]",
    as_of: datetime | None,
    table: "pa.Table",
    wire_format: WireFormat,
) -> bytes:
    """The answer in a text format."""
    schema = report.schema_of_rows
    if wire_format is WireFormat.JSON:
        lines = NdjsonEncoder(schema)
        rows = ",\n".join(line for chunk in _chunks(table) for line in lines.lines(chunk))
        return f'{_head(report, values, as_of)}[\n{rows}\n],\n"count":{table.num_rows}}}\n'.encode()
    encoder = for_format(wire_format, schema)
    body = b"".join(encoder.encode(chunk) for chunk in _chunks(table)).removeprefix(encoder.lead)
    footer = encoder.footer(Footer(table.num_rows)) if encoder.footer_belongs else b""
    return encoder.prologue() + body + footer + encoder.epilogue()


def _head(report: ReportDeclaration, values: "Mapping[str, Value]", as_of: datetime | None) -> str:
    """The envelope up to the rows."""
    given = ",".join(f"{json.dumps(name)}:{json_text(value)}" for name, value in values.items())
    columns = json.dumps([column.model_dump(mode="json") for column in report.columns])
    at = "null" if as_of is None else json_text(as_of)
    return (
        f'{{"report":{json.dumps(report.name)},\n"parameters":{{{given}}},\n"data_as_of":{at},\n'
        f'"columns":{columns},\n"rows":'
    )


def _chunks(table: "pa.Table") -> Iterator[Sequence[Sequence[Cell]]]:
    for batch in table.to_batches(max_chunksize=CHUNK):
        columns = [[_cell(value) for value in column.to_pylist()] for column in batch.columns]
        yield list(zip(*columns, strict=True))


def _cell(value: Any) -> Cell:
    """A value as the encoders take it from sqlite: exact decimals and times are texts, truth values 0 or 1."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool):
        return int(value)
    return plain(value) if isinstance(value, Decimal) else value
