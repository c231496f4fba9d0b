"""What a stream costs, counted: the queries it makes, the slices it holds, the connections it opens, and when."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from api_server.flows.selection import EVERYTHING, FIRST_CHUNK_ROWS
from api_server.flows.streams import AHEAD, RecordStream, Shape, StreamOpener
from api_server.http.negotiation import ContentCoding
from api_server.http.workers import Workers
from flows_platform.formats.encoders import for_format
from flows_platform.formats.json.lines_encode import NdjsonEncoder
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.sources.lanl_flows.schema import FLOWS
from tests.conditions import eventually

from .conftest import build, flow, flows, open_files

CHUNKS = 12
ROWS = FIRST_CHUNK_ROWS + CHUNKS * NdjsonEncoder.chunk_rows


class Counting(NdjsonEncoder):
    """Counts the chunks that were made."""

    made = 0

    def assembled(self, records: bytes, rows: int) -> bytes | None:
        self.made += 1
        return super().assembled(records, rows)


@pytest.fixture
def workers() -> Iterator[Workers]:
    workers = Workers(4)
    yield workers
    workers.close()


@contextmanager
def queries() -> Iterator[list[str]]:
    """Every statement that any connection runs."""
    run: list[str] = []

    def note(_: apsw.Cursor, sql: str, bindings: object) -> bool:
        run.append(sql)
        return True

    def trace(connection: apsw.Connection) -> None:
        connection.exec_trace = note

    apsw.connection_hooks.append(trace)
    try:
        yield run
    finally:
        apsw.connection_hooks.remove(trace)


def opened(workers: Workers, database: Path, shape: Shape) -> RecordStream:
    return StreamOpener(database, FLOWS, workers, 2).open(EVERYTHING, shape)


async def read(stream: RecordStream, workers: Workers) -> list[bytes]:
    try:
        return [piece async for piece in stream.body(workers)]
    finally:
        stream.close()


@pytest.mark.parametrize("wire_format", list(WireFormat))
@pytest.mark.parametrize("coding", list(ContentCoding))
def test_one_query_a_chunk(tmp_path: Path, workers: Workers, wire_format: WireFormat, coding: ContentCoding) -> None:
    encoder = for_format(wire_format, FLOWS)
    database = build(tmp_path / "flows.db", flows(ROWS))
    with queries() as run:
        stream = opened(workers, database, Shape(encoder, coding))
        pieces = asyncio.run(read(stream, workers))
    rows = [sql for sql in run if "BETWEEN" in sql]
    chunks = 1 + -(-(ROWS - FIRST_CHUNK_ROWS) // encoder.chunk_rows)
    assert len(rows) == chunks == len(pieces) - 1
    assert not [sql for sql in run if "count(*) FROM" in sql and "pragma" not in sql and "BETWEEN" not in sql]
    assert eventually(lambda: open_files(database) == 0)


def test_a_reader_that_stops_holds_so_many_parts(tmp_path: Path, workers: Workers) -> None:
    encoder = Counting(FLOWS)
    database = build(tmp_path / "flows.db", flows(ROWS))

    async def some(stream: RecordStream) -> list[int]:
        counts: list[int] = []
        body: AsyncIterator[bytes] = stream.body(workers)
        for number in range(1, 5):
            await anext(body)
            expected = 1 if number == 1 else number + AHEAD
            assert await asyncio.to_thread(eventually, lambda: encoder.made >= expected)  # noqa: B023  at once
            await asyncio.sleep(0.05)
            counts.append(encoder.made)
        stream.close()
        return counts

    stream = opened(workers, database, Shape(encoder))
    assert (encoder.made, open_files(database)) == (1, 1)  # the twin is not waited for
    assert asyncio.run(some(stream)) == [1, 2 + AHEAD, 3 + AHEAD, 4 + AHEAD]
    assert eventually(lambda: open_files(database) == 0)


@pytest.mark.parametrize("wire_format", list(WireFormat))
def test_a_short_stream_opens_the_file_once(tmp_path: Path, workers: Workers, wire_format: WireFormat) -> None:
    encoder = for_format(wire_format, FLOWS)
    database = build(tmp_path / "flows.db", flows(encoder.chunk_rows))
    with queries() as run:
        stream = opened(workers, database, Shape(encoder))
        asyncio.run(read(stream, workers))
    assert run.count("BEGIN") == 1


def test_text_with_spaces_takes_the_fast_way(tmp_path: Path, workers: Workers) -> None:
    rows = [flow(number, src_comp="a b!", dst_comp=" ") for number in range(1, 301)]
    database = build(tmp_path / "flows.db", rows)
    for wire_format in WireFormat:
        encoder = for_format(wire_format, FLOWS)
        with queries() as run:
            pieces = asyncio.run(read(opened(workers, database, Shape(encoder)), workers))
        assert len([sql for sql in run if "BETWEEN" in sql]) == 2
        assert len(pieces) == 3


def test_sqlite_of_the_server_counts_no_memory(tmp_path: Path) -> None:
    code = """
import sys, apsw
from api_server.flows.database import count_no_memory
count_no_memory()
connection = apsw.Connection(sys.argv[1])
connection.execute("CREATE TABLE t (x)")
count_no_memory()
print(apsw.status(apsw.SQLITE_STATUS_MEMORY_USED)[0], connection.execute("SELECT count(*) FROM t").get)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "any.db")], capture_output=True, text=True, check=True
    )
    assert done.stdout == "0 0\n"
