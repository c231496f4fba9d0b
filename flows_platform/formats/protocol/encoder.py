"""What an encoder of a stream is, and the check of a row against its columns. The formats are in modules of their own.

A format has two ways to write rows, and both give the same bytes:

- the reference, in Python, exact for any row that fits the schema: `encode`;
- the fast way, where sqlite joins the values with the format's fixed pieces (`record_sql`, ten times the reference) and
  `assembled` proves from the bytes that no value needed escaping, or says that it cannot. It is for columns of the
  types `WRITTEN_BY_SQLITE` alone.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Protocol, cast

from flows_platform.domain.errors import InputError
from flows_platform.domain.schema import INT64_MAX, INT64_MIN, Column, ColumnType, TableSchema
from flows_platform.domain.verification import Value

type Row = Sequence[Value]

# What sqlite gives for a value that fits; it has no booleans of its own.
PYTHON_TYPES = {
    ColumnType.INT64: int,
    ColumnType.STRING: str,
    ColumnType.TIMESTAMP: str,
    ColumnType.FLOAT64: float,
    ColumnType.BOOL: int,
    ColumnType.JSON: str,
}
# The others are not in every format the text that sqlite makes of them.
WRITTEN_BY_SQLITE = frozenset({ColumnType.INT64, ColumnType.STRING, ColumnType.TIMESTAMP})


@dataclass(frozen=True, slots=True)
class Footer:
    """What a stream says of itself at its end: the rows it held and, where it was asked for, their digest in hex."""

    count: int
    digest: str | None = None


class Encoder(Protocol):
    """Writes one stream; each piece is whole bytes.

    The pieces are `prologue`, chunks of rows, `footer` (where it belongs to the format, or the client asked for it) and
    `epilogue`. Each record stands after `lead`, of which the first one of a stream is spared.
    """

    @property
    def record_sql(self) -> str:
        """A SQL expression over the columns: one record as text, exact where no value needs escaping."""

    @property
    def record_separator(self) -> bytes:
        """What sqlite puts between two records; `assembled` knows what is still missing."""

    @property
    def lead(self) -> bytes:
        """What stands before every record but the first one of a stream."""

    @property
    def chunk_rows(self) -> int:
        """Rows of a chunk, for about 256 to 512 KB of ordinary rows."""

    def prologue(self) -> bytes:
        """What comes before the first record."""

    def encode(self, rows: Sequence[Row]) -> bytes:
        """The reference: a chunk of rows, each fitting the schema."""

    def assembled(self, records: bytes, rows: int) -> bytes | None:
        """The chunk that `encode` gives, from `rows` records joined in sqlite; None where a value needs escaping."""

    @property
    def footer_belongs(self) -> bool:
        """Whether the format always has a footer, since no reader takes it for a row."""

    def footer(self, footer: Footer) -> bytes:
        """What comes after the last record."""

    def epilogue(self) -> bytes:
        """What ends the stream, with or without a footer."""


def checked(schema: TableSchema, rows: Sequence[Sequence[object]]) -> Sequence[Row]:
    """The rows, each value of which fits its column.

    Raises:
        InputError: a value is NULL where one is required, or of another type, or beyond what the type holds.
    """
    for row in rows:
        _check(schema, row)
    return cast("Sequence[Row]", rows)


def _check(schema: TableSchema, row: Sequence[object]) -> None:
    for column, value in zip(schema.columns, row, strict=True):
        if not _fits(column, value):
            raise InputError(
                f"table {schema.name}: the row with {schema.key} {_brief(row[schema.names.index(schema.key)])} holds "
                f"{_brief(value)} in the {column.type} column {column.name}.",
                remedy="Build the database anew: `flows load` sets such rows aside.",
            )


def _fits(column: Column, value: object) -> bool:
    if value is None:
        return column.nullable
    return type(value) is PYTHON_TYPES[column.type] and IN_RANGE[column.type](value)


def _is_json(value: object) -> bool:
    try:
        json.loads(str(value), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON value")


def _anything(_: object) -> bool:
    return True


IN_RANGE: dict[ColumnType, Callable[[Any], bool]] = {
    ColumnType.INT64: lambda value: INT64_MIN <= value <= INT64_MAX,
    ColumnType.STRING: _anything,
    ColumnType.TIMESTAMP: _anything,
    ColumnType.FLOAT64: isfinite,
    ColumnType.BOOL: lambda value: value in {0, 1},
    ColumnType.JSON: _is_json,
}


def _brief(value: object) -> str:
    return "NULL" if value is None else repr(value)[:60]
