"""A JSON object a line to records. The format has no footer: only the header's count proves it whole."""

import io
import json
from collections.abc import Iterator
from decimal import Decimal

import pyarrow as pa
import pyarrow.json

from flows_platform.domain.errors import SourceRefused, StreamIncomplete
from flows_platform.domain.schema import TableSchema
from flows_platform.wire.arrow_schema import arrow_schema
from flows_platform.wire.casting import Records, Unreadable
from flows_platform.wire.decode.source import ByteSource

BLOCK = 1 << 18
MAX_LINE = 1 << 24


class NdjsonDocument:
    """Lines of JSON objects; a block of whole lines is parsed by Arrow, and line by line where Arrow objects."""

    declared = None

    def __init__(self, source: ByteSource, schema: TableSchema) -> None:
        self._source = source
        self._expected = arrow_schema(schema)

    def slices(self) -> Iterator[Records | pa.RecordBatch]:
        """Batches of the lines of about 256 KiB each.

        Raises:
            StreamIncomplete: the last line has no end.
            SourceRefused: a line is longer than 16 MiB.
        """
        for block in self._blocks():
            yield self._parsed(block)

    def _blocks(self) -> Iterator[bytes]:
        rest = b""
        while chunk := self._source.read(BLOCK):
            whole, newline, tail = (rest + chunk).rpartition(b"\n")
            rest = tail
            if newline:
                yield whole + newline
            if len(rest) > MAX_LINE:
                raise SourceRefused(f"a line of the NDJSON answer is longer than {MAX_LINE} bytes.")
        if rest:
            raise StreamIncomplete(f"the NDJSON answer ends inside a line ({rest[:60]!r}…).")

    def _parsed(self, block: bytes) -> Records | pa.RecordBatch:
        options = pyarrow.json.ParseOptions(explicit_schema=self._expected, unexpected_field_behavior="error")
        try:
            table = pyarrow.json.read_json(
                io.BytesIO(block), pyarrow.json.ReadOptions(use_threads=False, block_size=len(block) + 1), options
            )
        except pa.ArrowInvalid:
            return _line_by_line(block)
        lines = block.count(b"\n")
        batches = table.combine_chunks().to_batches()
        proven = table.num_rows == lines and table.column_names == self._expected.names
        return batches[0] if proven and len(batches) == 1 and not _nulls(table) else _line_by_line(block)


def _nulls(table: pa.Table) -> bool:
    return any(column.null_count for column in table.columns)


def _line_by_line(block: bytes) -> Records:
    """The reference parser."""
    return [_record(line) for line in block.split(b"\n") if line.strip()]


def _record(line: bytes) -> dict[str, object] | Unreadable:
    try:
        record = json.loads(line, parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        return Unreadable(f"not a JSON object: {error}", line)
    return record if isinstance(record, dict) else Unreadable("not a JSON object", line)


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON value")


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise ValueError("a key repeats")
    return record
