"""Clean lines to typed rows, one line at a time. `parse_lines` defines what is valid; `FastParser` must agree with it.

A line is the schema's columns separated by commas, nothing quoted; one CR before the newline belongs to the line's end.
An integer is `-?[0-9]+` within 64 bits; a text is any valid UTF-8, control characters and NUL included.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyarrow import csv

from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.rejects import RejectedRecord
from flows_platform.domain.schema import INT64_MAX, INT64_MIN, Column, ColumnType, TableSchema
from flows_platform.flow_database.comma_counts import BYTE_ORDER_MARK, HEADER_REASON, is_header, reject_reason

SHOWN_BYTES = 40  # of a rejected value in the reason; the whole line is kept beside it
_INTEGER = re.compile(rb"-?[0-9]+")
_INT64_DIGITS = 19
# Only these types need no further convention in a comma-separated line.
_ARROW_TYPES = {ColumnType.INT64: pa.int64(), ColumnType.STRING: pa.string()}


@dataclass(frozen=True, slots=True)
class ParsedBlock:
    """The valid rows of a block in order, and its rejected lines; positions are 1-based within the block."""

    rows: pa.RecordBatch
    rejects: list[RejectedRecord]

    @property
    def lines(self) -> int:
        return int(self.rows.num_rows) + len(self.rejects)

    def line_of_row(self, index: int) -> int:
        """The 1-based line, within the block, of the row with this 0-based index."""
        rejected = {reject.position for reject in self.rejects}
        kept = (line for line in range(1, self.lines + 1) if line not in rejected)
        return next(line for row, line in enumerate(kept) if row == index)


def arrow_schema(schema: TableSchema) -> pa.Schema:
    """The Arrow types that clean lines are parsed to.

    Raises:
        ConfigurationError: a column has a type or nullability that plain comma-separated lines cannot carry.
    """
    for column in schema.columns:
        if column.type not in _ARROW_TYPES or column.nullable:
            raise ConfigurationError(f"{schema.name}.{column.name} cannot be loaded from plain comma-separated lines.")
    return pa.schema([(column.name, _ARROW_TYPES[column.type]) for column in schema.columns])


def parse_lines(block: bytes, schema: TableSchema) -> ParsedBlock:
    """The block's lines, each parsed on its own."""
    rows: list[list[int | str]] = []
    rejects: list[RejectedRecord] = []
    for position, line in enumerate(block.removesuffix(b"\n").split(b"\n"), 1):
        try:
            rows.append(_parse_line(line, schema))
        except ValueError as error:
            reason = HEADER_REASON if _names_columns(line) else str(error)
            rejects.append(RejectedRecord(position, reason, line))
    columns = list(zip(*rows, strict=True)) or [()] * len(schema.columns)
    target = arrow_schema(schema)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, target, strict=True)]
    return ParsedBlock(pa.record_batch(arrays, schema=target), rejects)


def _names_columns(line: bytes) -> bool:
    """Whether this is a header line, numbered by cleaning or not: files put together have one in the middle."""
    number, _, rest = line.partition(b",")
    return is_header(rest if number.isdigit() else line)


def _parse_line(line: bytes, schema: TableSchema) -> list[int | str]:
    content = line.removesuffix(b"\r")
    fields = content.split(b",")
    if len(fields) != len(schema.columns) or not content:
        raise ValueError(reject_reason(content, len(schema.columns)))
    return [_PARSERS[column.type](field, column) for field, column in zip(fields, schema.columns, strict=True)]


def _integer(field: bytes, column: Column) -> int:
    digits = field.lstrip(b"-0")  # int() refuses more than 4,300 digits, zeros included
    if _INTEGER.fullmatch(field) and len(digits) <= _INT64_DIGITS:
        value = int(digits or b"0") * (-1 if field.startswith(b"-") else 1)
        if INT64_MIN <= value <= INT64_MAX:
            return value
    if field.startswith(BYTE_ORDER_MARK):
        raise ValueError(f"{column.name}: {_shown(field)} begins with a byte order mark")
    raise ValueError(f"{column.name}: {_shown(field)} is not a 64-bit integer")


def _text(field: bytes, column: Column) -> str:
    try:
        return field.decode()
    except UnicodeDecodeError:
        raise ValueError(f"{column.name}: {_shown(field)} is not valid UTF-8") from None


def _shown(field: bytes) -> str:
    text = repr(field[:SHOWN_BYTES].decode(errors="backslashreplace"))
    return text if len(field) <= SHOWN_BYTES else f"{text}… ({len(field)} bytes)"


_PARSERS: dict[ColumnType, Callable[[bytes, Column], int | str]] = {
    ColumnType.INT64: _integer,
    ColumnType.STRING: _text,
}


_LAX_BYTES = (b" ", b"\t", b"\r", b"\0", b"x", b"X", b"\xef\xbb\xbf")


class FastParser:
    """Parses blocks of whole lines of one schema."""

    def __init__(self, schema: TableSchema) -> None:
        self.schema = schema
        self.target = arrow_schema(schema)
        self._parse = csv.ParseOptions(quote_char=False, double_quote=False, ignore_empty_lines=False)
        self._convert = csv.ConvertOptions(
            column_types=self.target, null_values=[], strings_can_be_null=False, check_utf8=True
        )

    def __call__(self, block: bytes) -> ParsedBlock:
        """The same as `parse_lines(block, schema)`."""
        rows = self._by_arrow(block)
        return parse_lines(block, self.schema) if rows is None else ParsedBlock(rows, [])

    def _by_arrow(self, block: bytes) -> pa.RecordBatch | None:
        """The rows, if every line is valid and Arrow reads it as `parse_lines` does; None otherwise."""
        if b"\r" in block:
            block = (block if block.endswith(b"\n") else block + b"\n").replace(b"\r\n", b"\n")
        if any(code in block for code in _LAX_BYTES):
            return None
        # One Arrow block: it must hold the longest line, and the reader must not start threads of its own.
        options = csv.ReadOptions(use_threads=False, block_size=len(block) + 1, column_names=self.target.names)
        try:
            table = csv.read_csv(pa.BufferReader(block), options, self._parse, self._convert)
        except pa.ArrowInvalid:
            return None
        newlines = np.count_nonzero(np.frombuffer(block, np.uint8) == ord("\n"))  # bytes.count takes six times as long
        lines = newlines + (not block.endswith(b"\n"))
        batches = table.to_batches()
        return batches[0] if len(batches) == 1 and table.num_rows == lines else None
