"""A table with a column of every type, served in every format: the reference's bytes, however long the chunk."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from api_server.flows.chunks import REFERENCE_ROWS, ChunkReader
from api_server.flows.database import Snapshot
from api_server.flows.openapi import schemas
from api_server.flows.selection import Selection
from flows_platform.domain.errors import InputError
from flows_platform.domain.schema import Column, ColumnType, TableSchema
from flows_platform.domain.verification import MODULUS, Value
from flows_platform.flow_database import layout
from flows_platform.formats.encoders import for_format
from flows_platform.formats.protocol.canonical import canonical_rows, sum_of_hashes
from flows_platform.formats.protocol.names import WireFormat

SCHEMA = TableSchema(
    "typed",
    "Every type, required and nullable.",
    (
        Column("id", ColumnType.INT64, ""),
        *(Column(f"a_{kind}", kind, "") for kind in ColumnType),
        *(Column(f"maybe_{kind}", kind, "", nullable=True) for kind in ColumnType),
    ),
    "id",
    "a_int64",
)
VALUES: dict[ColumnType, Value] = {
    ColumnType.INT64: -7,
    ColumnType.STRING: 'a"b',
    ColumnType.TIMESTAMP: "2014-01-01T00:00:00Z",
    ColumnType.FLOAT64: 0.1 + 0.2,
    ColumnType.BOOL: 0,
    ColumnType.JSON: '{"a":[1.50]}',
    ColumnType.DATE: "2024-02-29",
    ColumnType.NUMERIC: "-12345678901234567890.105000001",
}
ROWS = [(number, *VALUES.values(), *(None for _ in VALUES)) for number in range(1, 3 * REFERENCE_ROWS)]
WHOLE = Selection(len(ROWS), "typed WHERE id BETWEEN ? AND ?", 1, len(ROWS), shared=True)


@pytest.fixture
def snapshot(tmp_path: Path) -> Iterator[Snapshot]:
    path = tmp_path / "typed.db"
    connection = apsw.Connection(str(path))
    with connection:
        connection.execute(layout.create_table(SCHEMA))
        connection.execute(layout.CREATE_SUMMARY)
        connection.executemany(f"INSERT INTO typed VALUES ({', '.join('?' * len(SCHEMA.columns))})", ROWS)
    connection.close()
    snapshot = Snapshot.open(path, SCHEMA)
    yield snapshot
    snapshot.connection.close()


@pytest.mark.parametrize("wire_format", [wire for wire in WireFormat if wire is not WireFormat.ARROW])
def test_a_chunk_is_the_references(snapshot: Snapshot, wire_format: WireFormat) -> None:
    encoder = for_format(wire_format, SCHEMA)
    chunk = ChunkReader(snapshot, SCHEMA, WHOLE, encoder, digest=True).read(1, len(ROWS))
    assert chunk.data == encoder.encode(ROWS)
    assert (chunk.rows, chunk.total % MODULUS) == (len(ROWS), sum_of_hashes(canonical_rows(SCHEMA, ROWS)))


def test_a_boolean_that_is_neither_is_named(snapshot: Snapshot) -> None:
    database = snapshot.database
    snapshot.connection.execute("ROLLBACK")
    writer = apsw.Connection(str(database))
    writer.execute("UPDATE typed SET a_bool = 2 WHERE id = 5")
    writer.close()
    reader = ChunkReader(snapshot, SCHEMA, WHOLE, for_format(WireFormat.NDJSON, SCHEMA))
    with pytest.raises(InputError, match="id 5 holds 2 in the bool column a_bool"):
        reader.read(1, len(ROWS))


@pytest.mark.parametrize("kind", ColumnType)
def test_the_description_has_every_type(kind: ColumnType) -> None:
    properties = schemas(SCHEMA)["Record"]["properties"]
    assert "null" not in properties[f"a_{kind}"]["type"]
    assert properties[f"maybe_{kind}"]["type"][-1] == "null"
