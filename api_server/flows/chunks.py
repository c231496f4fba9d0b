"""Chunks of rows as bytes of one format, read from one connection. Does not know requests or the order of work."""

from dataclasses import dataclass
from typing import cast

import apsw

from api_server.flows.database import Snapshot
from api_server.flows.selection import Selection
from flows_platform.domain.errors import InputError
from flows_platform.domain.schema import ColumnType, TableSchema
from flows_platform.formats.protocol.canonical import canonical_rows, canonical_sql, sum_of_hashes
from flows_platform.formats.protocol.encoder import WRITTEN_BY_SQLITE, Encoder, checked
from flows_platform.formats.protocol.sql_text import identifier

# The longest value of a chunk query. Longer texts split the chunk, so they do not take more memory.
CHUNK_BYTES = 8 * 2**20
ANY_BYTES = 2**30 - 1
# A chunk with a value that needs escaping is halved down to this, so that one such row does not slow thousands.
REFERENCE_ROWS = 64
SQL_TYPES = {
    ColumnType.INT64: "integer",
    ColumnType.STRING: "text",
    ColumnType.TIMESTAMP: "text",
    ColumnType.FLOAT64: "real",
    ColumnType.BOOL: "integer",
    ColumnType.JSON: "text",
    ColumnType.DATE: "text",
    ColumnType.NUMERIC: "text",
}


@dataclass(frozen=True, slots=True)
class Chunk:
    """The bytes of `rows` records, each after the format's `lead`.

    `total` is the sum of the rows' hashes, 0 without a digest.
    """

    data: bytes
    rows: int
    total: int = 0


class ChunkReader:
    """Formats spans of a selection and, where `digest` says so, hashes their rows.

    The digest costs about 1 µs a row, most of it in Python: more than the formatting. Requests must ask for it.
    """

    def __init__(
        self, snapshot: Snapshot, schema: TableSchema, selection: Selection, encoder: Encoder, *, digest: bool = False
    ) -> None:
        self._connection, self._schema, self._encoder = snapshot.connection, schema, encoder
        self._connection.limit(apsw.SQLITE_LIMIT_LENGTH, CHUNK_BYTES)
        untrusted = [column for column in schema.columns if column.name not in snapshot.table.trusted]
        odd = " OR ".join(f"typeof({identifier(c.name)}) <> '{SQL_TYPES[c.type]}'" for c in untrusted)
        joined = f"CAST(group_concat({encoder.record_sql}, ?) AS BLOB)"
        self._fast = f"SELECT {joined}, count(*), {f'max({odd})' if odd else 0} FROM {selection.source}"
        self._rows = f"SELECT {', '.join(map(identifier, schema.names))} FROM {selection.source}"
        self._may_assemble = {column.type for column in schema.columns} <= WRITTEN_BY_SQLITE
        self._digest = digest
        canonical = canonical_sql(schema)
        self._canonical = canonical and f"SELECT {canonical} FROM {selection.source}"

    def read(self, first: int, last: int) -> Chunk:
        """The rows at the positions `first..last`.

        Raises:
            InputError: a value does not fit its column, or is not valid UTF-8.
            apsw.Error: the file cannot be read, or the query was interrupted.
        """
        chunk, rows = self._assembled(first, last) if self._may_assemble else (None, last - first + 1)
        if chunk is not None:
            return chunk
        if first < last and (rows is None or rows > REFERENCE_ROWS):
            return self._halves(first, last)
        return self._referenced(first, last)

    def _assembled(self, first: int, last: int) -> tuple[Chunk | None, int | None]:
        """The chunk as sqlite assembled it, None where it is not exact; and its rows, None where it is too long."""
        separator = self._encoder.record_separator.decode()
        try:
            row = self._connection.execute(self._fast, (separator, first, last)).fetchone()
            records, rows, odd = cast("tuple[bytes | None, int, int]", row)
            if records is None:
                return Chunk(b"", 0), 0
            data = None if odd else self._encoder.assembled(records, rows)
            return (None if data is None else Chunk(data, rows, self._total(first, last))), rows
        except apsw.TooBigError:
            return None, None

    def _total(self, first: int, last: int) -> int:
        """The sum of the hashes of rows without NULL, read again in the same transaction."""
        if not self._digest:
            return 0
        if self._canonical is None:
            rows = self._connection.execute(self._rows, (first, last)).fetchall()
            return sum_of_hashes(canonical_rows(self._schema, checked(self._schema, rows)))
        found = self._connection.execute(self._canonical, (first, last)).fetchall()
        return sum_of_hashes([cast("bytes", row) for (row,) in found])

    def _halves(self, first: int, last: int) -> Chunk:
        middle = (first + last) // 2
        halves = [self.read(first, middle), self.read(middle + 1, last)]
        data = b"".join(half.data for half in halves)
        return Chunk(data, sum(half.rows for half in halves), sum(half.total for half in halves))

    def _referenced(self, first: int, last: int) -> Chunk:
        self._connection.limit(apsw.SQLITE_LIMIT_LENGTH, ANY_BYTES)
        try:
            rows = self._connection.execute(self._rows, (first, last)).fetchall()
        except UnicodeDecodeError as error:
            raise InputError(
                f"table {self._schema.name}: a text between positions {first} and {last} is not valid UTF-8 ({error}).",
                remedy="Build the database again: `flows load` rejects such rows.",
            ) from error
        finally:
            self._connection.limit(apsw.SQLITE_LIMIT_LENGTH, CHUNK_BYTES)
        fitting = checked(self._schema, rows)
        total = sum_of_hashes(canonical_rows(self._schema, fitting)) if self._digest else 0
        return Chunk(self._encoder.encode(fitting), len(rows), total)
