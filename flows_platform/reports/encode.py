"""Encodes the rows of a report in every format. JSON has an envelope around the rows; the others are as for streams."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flows_platform.domain.decimals import plain
from flows_platform.domain.schema import ColumnType, TableSchema
from flows_platform.domain.verification import Value as Cell
from flows_platform.formats.encoders import for_format
from flows_platform.formats.json.lines_encode import NdjsonEncoder
from flows_platform.formats.protocol.encoder import Footer
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.reports.declaration import ReportColumn, ReportDeclaration
from flows_platform.reports.runner import Rows
from flows_platform.reports.values import json_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from flows_platform.reports.values import Value

CHUNK = 4096  # rows that are Python objects at a time


def arrow_bytes(table: "pa.Table") -> bytes:
    """The rows as an Arrow stream."""
    import pyarrow as pa  # noqa: PLC0415 - takes 40 MB and a third of a second

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    body: bytes = sink.getvalue().to_pybytes()
    return body


def no_rows(report: ReportDeclaration) -> Rows:
    """The result of a report without rows, for which no query is needed."""
    from flows_platform.columns.batches import arrow_schema  # noqa: PLC0415 - as above

    return Rows(arrow_schema(report.schema_of_rows).empty_table(), 0.0)


def table_of(body: bytes | memoryview) -> "pa.Table":
    """The rows of an Arrow stream."""
    import pyarrow as pa  # noqa: PLC0415 - as above

    return pa.ipc.open_stream(pa.py_buffer(body)).read_all()


@dataclass(frozen=True, slots=True)
class Form:
    """Variants of an answer within its format.

    Args:
        bare: Whether JSON is the array of rows alone, without the envelope.
        texts: Types whose values are strings in JSON and NDJSON.
        capitals: Whether column names are in capitals.
    """

    bare: bool = False
    texts: frozenset[ColumnType] = frozenset()
    capitals: bool = False

    @property
    def key(self) -> str:
        """Identifies the form; empty for the usual one."""
        return "".join([*("bare " if self.bare else "", "capitals " if self.capitals else ""), *sorted(self.texts)])


USUAL = Form()
# Types whose values may have more digits than a double can hold.
EXACT = frozenset({ColumnType.INT64, ColumnType.NUMERIC})


def encoded(
    report: ReportDeclaration,
    values: "Mapping[str, Value]",
    as_of: datetime | None,
    table: "pa.Table",
    *,
    wire_format: WireFormat,
    form: Form = USUAL,
) -> bytes:
    """The answer in this format and form."""
    if form.capitals:
        table = table.rename_columns([name.upper() for name in table.schema.names])
    if wire_format is WireFormat.ARROW:
        return arrow_bytes(table)
    as_texts = form.texts if wire_format in {WireFormat.JSON, WireFormat.NDJSON} else frozenset[ColumnType]()
    schema = _schema(report, form, as_texts)
    chunks = _chunks(table, [_cell(column, as_text=column.type in as_texts) for column in report.columns])
    if wire_format is WireFormat.JSON:
        lines = NdjsonEncoder(schema)
        rows = ",\n".join(line for chunk in chunks for line in lines.lines(chunk))
        if form.bare:
            return f"[\n{rows}\n]\n".encode() if rows else b"[]\n"
        return f'{_head(report, values, as_of)}[\n{rows}\n],\n"count":{table.num_rows}}}\n'.encode()
    encoder = for_format(wire_format, schema)
    body = b"".join(encoder.encode(chunk) for chunk in chunks).removeprefix(encoder.lead)
    footer = encoder.footer(Footer(table.num_rows)) if encoder.footer_belongs else b""
    return encoder.prologue() + body + footer + encoder.epilogue()


def _schema(report: ReportDeclaration, form: Form, as_texts: frozenset[ColumnType]) -> TableSchema:
    """The columns with the names and types that the encoders write."""
    schema = report.schema_of_rows
    shown = tuple(
        replace(
            column,
            name=column.name.upper() if form.capitals else column.name,
            type=ColumnType.STRING if column.type in as_texts else column.type,
        )
        for column in schema.columns
    )
    return replace(schema, columns=shown, key=shown[0].name, time=shown[0].name)


def _head(report: ReportDeclaration, values: "Mapping[str, Value]", as_of: datetime | None) -> str:
    """The envelope up to the rows."""
    given = ",".join(f"{json.dumps(name)}:{json_text(value)}" for name, value in values.items())
    columns = json.dumps([column.model_dump(mode="json", exclude_none=True) for column in report.columns])
    at = "null" if as_of is None else json_text(as_of)
    return (
        f'{{"report":{json.dumps(report.name)},\n"parameters":{{{given}}},\n"data_as_of":{at},\n'
        f'"columns":{columns},\n"rows":'
    )


def _chunks(table: "pa.Table", cells: Sequence[Callable[[Any], Cell]]) -> Iterator[Sequence[Sequence[Cell]]]:
    for batch in table.to_batches(max_chunksize=CHUNK):
        columns = [list(map(cell, column.to_pylist())) for cell, column in zip(cells, batch.columns, strict=True)]
        yield list(zip(*columns, strict=True))


def _cell(column: ReportColumn, *, as_text: bool) -> Callable[[Any], Cell]:
    """Converts a value to what the encoders take, as sqlite has it: decimals and times are texts, booleans 0 or 1."""
    match column.type:
        case ColumnType.TIMESTAMP:
            return lambda value: value and value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case ColumnType.DATE:
            return lambda value: value and value.isoformat()
        case ColumnType.BOOL:
            return lambda value: None if value is None else int(value)
        case ColumnType.NUMERIC:
            return lambda value: None if value is None else plain(value, column.decimals or 0)
        case _ if as_text:
            return lambda value: None if value is None else str(value)
    return lambda value: value
