"""The protocol of stream encoders, and the check of a row against its columns.

A format has two ways to write rows, which give the same bytes:

- the reference in Python, exact for any row that fits the schema: `encode`;
- the fast way, ten times as fast: sqlite joins the values with the format's fixed text (`record_sql`), and `assembled`
  proves from the bytes that no value needed escaping, or says that it cannot. All columns must be of the types
  `WRITTEN_BY_SQLITE`.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from math import isfinite
from typing import Any, Protocol, cast

from flows_platform.domain.decimals import PLAIN
from flows_platform.domain.errors import InputError
from flows_platform.domain.schema import INT64_MAX, INT64_MIN, Column, ColumnType, TableSchema
from flows_platform.domain.verification import Value

type Row = Sequence[Value]

# The Python type that sqlite returns for a value that fits; sqlite has no booleans.
PYTHON_TYPES = {
    ColumnType.INT64: int,
    ColumnType.STRING: str,
    ColumnType.TIMESTAMP: str,
    ColumnType.FLOAT64: float,
    ColumnType.BOOL: int,
    ColumnType.JSON: str,
    ColumnType.DATE: str,
    ColumnType.NUMERIC: str,  # sqlite has no exact decimals
}
# sqlite's text of the other types differs from what some format needs.
WRITTEN_BY_SQLITE = frozenset({ColumnType.INT64, ColumnType.STRING, ColumnType.TIMESTAMP})


@dataclass(frozen=True, slots=True)
class Footer:
    """What a stream declares at its end: the number of rows and, if requested, their digest in hex."""

    count: int
    digest: str | None = None


class Encoder(Protocol):
    """Writes one stream in pieces.

    The pieces are `prologue`, chunks of rows, `footer` (if the format always has one, or the client asked for it) and
    `epilogue`. A record begins with `lead`, which is left out before the first record of a stream.
    """

    @property
    def record_sql(self) -> str:
        """A SQL expression over the columns for one record as text, exact if no value needs escaping."""

    @property
    def record_separator(self) -> bytes:
        """What sqlite puts between two records; `assembled` adds what is still missing."""

    @property
    def lead(self) -> bytes:
        """The bytes before every record except the first one of a stream."""

    @property
    def chunk_rows(self) -> int:
        """The number of rows in a chunk: about 256 to 512 KB of ordinary rows."""

    def prologue(self) -> bytes:
        """The bytes before the first record."""

    def encode(self, rows: Sequence[Row]) -> bytes:
        """The reference: encode a chunk of rows that fit the schema."""

    def assembled(self, records: bytes, rows: int) -> bytes | None:
        """The chunk that `encode` would give, from `rows` records joined by sqlite; None if a value needs escaping."""

    @property
    def footer_belongs(self) -> bool:
        """Whether the format always has a footer, since no reader would take it for a row."""

    def footer(self, footer: Footer) -> bytes:
        """The bytes of the footer, after the last record."""

    def epilogue(self) -> bytes:
        """The bytes that end the stream, with or without a footer."""


def checked(schema: TableSchema, rows: Sequence[Sequence[object]]) -> Sequence[Row]:
    """The rows, once all values are known to fit their columns.

    Raises:
        InputError: a required value is NULL, or a value is of another type or outside its range.
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
                remedy="Rebuild the database: `flows load` rejects such rows.",
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
    raise ValueError(f"{constant} is not a JSON value")


def _is_date(value: object) -> bool:
    try:
        return date.fromisoformat(str(value)).isoformat() == value  # it would also read 20240301
    except ValueError:
        return False


def _anything(_: object) -> bool:
    return True


IN_RANGE: dict[ColumnType, Callable[[Any], bool]] = {
    ColumnType.INT64: lambda value: INT64_MIN <= value <= INT64_MAX,
    ColumnType.STRING: _anything,
    ColumnType.TIMESTAMP: _anything,
    ColumnType.FLOAT64: isfinite,
    ColumnType.BOOL: lambda value: value in {0, 1},
    ColumnType.JSON: _is_json,
    ColumnType.DATE: _is_date,
    ColumnType.NUMERIC: lambda value: PLAIN.fullmatch(value) is not None,
}


def _brief(value: object) -> str:
    return "NULL" if value is None else repr(value)[:60]
