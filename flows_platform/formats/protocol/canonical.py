"""Rows in the canonical form of `domain.verification`, written by sqlite, and the sum of their hashes.

The server computes the row digest this way, without pyarrow: sqlite writes the rows three times as fast as Python.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256

import numpy as np

from flows_platform.domain.schema import ColumnType, TableSchema
from flows_platform.domain.verification import MODULUS, Digested, Value, canonical
from flows_platform.formats.protocol.sql_text import identifier

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HASH_WORDS = 4  # a SHA-256 hash is four 64-bit words; the digest uses the first one


def _microseconds(value: Value) -> Value:
    """A timestamp's text, in any ISO 8601 form, as microseconds since 1970."""
    return None if value is None else (datetime.fromisoformat(str(value)) - EPOCH) // timedelta(microseconds=1)


def _days(value: Value) -> Value:
    return None if value is None else (date.fromisoformat(str(value)) - EPOCH.date()).days


def _decimal(value: Value) -> Digested:
    return None if value is None else Decimal(str(value))


def _as_is(value: Value) -> Value:
    return value


VALUES: dict[ColumnType, Callable[[Value], Digested]] = {
    ColumnType.INT64: _as_is,
    ColumnType.STRING: _as_is,
    ColumnType.TIMESTAMP: _microseconds,
    ColumnType.FLOAT64: _as_is,
    ColumnType.BOOL: _as_is,
    ColumnType.JSON: _as_is,
    ColumnType.DATE: _days,
    ColumnType.NUMERIC: _decimal,
}
# None: sqlite's time functions stop at milliseconds, its text of a float is not exact to the last digit, and a decimal
# may be written in several ways.
SQL: dict[ColumnType, str | None] = {
    ColumnType.INT64: "{0}",
    ColumnType.STRING: "octet_length({0}), ':', {0}",
    ColumnType.TIMESTAMP: None,
    ColumnType.FLOAT64: None,
    ColumnType.BOOL: "{0}",
    ColumnType.JSON: "octet_length({0}), ':', {0}",
    ColumnType.DATE: None,
    ColumnType.NUMERIC: None,
}


def canonical_sql(schema: TableSchema) -> str | None:
    """A SQL expression for the canonical bytes of a row without NULLs; None if sqlite cannot write a column exactly."""
    fields: list[str] = []
    for column in schema.columns:
        template = SQL[column.type]
        if template is None:
            return None
        fields.append(template.format(identifier(column.name)))
    return f"CAST(concat({", ',', ".join(fields)}) AS BLOB)"


def canonical_rows(schema: TableSchema, rows: Sequence[Sequence[Value]]) -> list[bytes]:
    """The reference in Python, for any rows that fit the schema."""
    convert = [VALUES[column.type] for column in schema.columns]
    return [canonical([to(value) for to, value in zip(convert, row, strict=True)]) for row in rows]


def sum_of_hashes(rows: Sequence[bytes]) -> int:
    """`RowDigest.total` of rows in canonical form."""
    words = np.frombuffer(b"".join([sha256(row).digest() for row in rows]), dtype=">u8")
    return int(words[::HASH_WORDS].sum(dtype=np.uint64)) % MODULUS
