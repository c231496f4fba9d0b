"""Many clients at once, good and bad ones: answers are whole, refusals say so, and nothing stays open."""

import asyncio
import json
import random
import signal
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest

from flows_platform.formats.protocol.names import WireFormat
from tests.api_server.conftest import build, flow, flows
from tests.conditions import eventually
from tests.faults.scale import scaled
from tests.faults.server_child import ServerChild, child

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(900)]

STREAM = "/api/v1/stream/flows"
ROWS = 60_000
CLIENTS = scaled(full=1_000, ci=150)
DISCONNECTS = scaled(full=1_000, ci=40)
LORISES = scaled(full=500, ci=200)
STALLED = scaled(full=32, ci=8)
REPLACEMENTS = scaled(full=200, ci=20)
MOST_MEMORY = 256 * 2**20
OPENING = 60  # seconds


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("load") / "flows.db", flows(ROWS))


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


async def fetch(port: int, query: str) -> Reply:
    """One request in HTTP/1.0, whose answer ends with the connection; an unexpected end raises."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {STREAM}?{query} HTTP/1.0\r\n\r\n".encode())
        head, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines if line)
        body = b"".join([part async for part in _parts(reader)])
        return Reply(int(head.split()[1]), {name.lower(): value for name, value in headers.items()}, body)
    finally:
        writer.close()


async def _parts(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while part := await reader.read(2**18):
        yield part


def rows_of_ndjson(body: bytes) -> int:
    *lines, footer = body.splitlines()
    assert json.loads(footer) == {"end": {"count": len(lines)}}
    return len(lines)


def rows_of_arrow(body: bytes) -> int:
    with pa.ipc.open_stream(body) as reader:
        batches = [batch for batch, _ in reader.iter_batches_with_custom_metadata()]
    return sum(batch.num_rows for batch in batches)


@pytest.mark.parametrize(
    ("query", "rows"),
    [("format=ndjson&footer=1", rows_of_ndjson), ("format=arrow&digest=1", rows_of_arrow)],
    ids=["plain", "the dearest"],
)
def test_a_thousand_clients_get_all_or_a_refusal(database: Path, query: str, rows: Callable[[bytes], int]) -> None:
    """No client waits for another to begin; each asks once."""

    async def all_at_once(port: int) -> list[Reply]:
        return await asyncio.gather(*(fetch(port, query) for _ in range(CLIENTS)))

    with child(database) as running:
        replies = asyncio.run(all_at_once(running.server.port))
        assert running.peak_memory() <= MOST_MEMORY
        assert eventually(lambda: running.open_databases() == 0)
    for reply in replies:
        if reply.status == 200:
            assert rows(reply.body) == int(reply.headers["record-count"]) == ROWS
        else:
            assert (reply.status, reply.headers["retry-after"]) == (503, "2")
            assert json.loads(reply.body)["type"] == "/#too-many-streams"
    counts = Counter(reply.status for reply in replies)
    assert counts[200] >= 24
    assert sum(counts.values()) == CLIENTS


def test_all_clients_are_served_who_come_again(database: Path) -> None:
    """Retried until it is admitted, every client gets its whole window, in every format."""

    async def persistent(port: int, number: int) -> int:
        wire_format = list(WireFormat)[number % 5]
        query = f"scanned_before=500&format={wire_format}"
        while (reply := await fetch(port, query)).status == 503:  # noqa: ASYNC110  as a client does
            await asyncio.sleep(random.random() * float(reply.headers["retry-after"]))
        assert reply.status == 200
        return len(reply.body) if wire_format is WireFormat.NDJSON else 0

    async def all_of_them(port: int) -> list[int]:
        return await asyncio.gather(*(persistent(port, number) for number in range(CLIENTS // 2)))

    with child(database, '{"active_streams": 16}') as running:
        sizes = asyncio.run(all_of_them(running.server.port))
        assert running.peak_memory() <= MOST_MEMORY
    assert len(set(sizes) - {0}) == 1


def leave(port: int, rng: random.Random) -> None:
    """Ask, read up to a random byte of the answer and go, by a FIN or a reset."""
    wire_format, coding = rng.choice(list(WireFormat)), rng.choice(["gzip", "zstd", "identity"])
    digest = rng.choice(["", "&digest=1"])
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        target = f"{STREAM}?format={wire_format}{digest}"
        head = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: {coding}\r\n\r\n"
        client.sendall(head.encode())
        left = rng.choice([0, 1, rng.randrange(500), rng.randrange(1_000_000), rng.randrange(6_000_000)])
        client.settimeout(0.5)
        try:
            while left > 0 and (part := client.recv(min(left, 2**16))):
                left -= len(part)
        except TimeoutError:
            pass  # a short answer on a connection that is kept
        if rng.random() < 0.5:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def test_clients_that_leave_at_random_bytes_leave_nothing(database: Path) -> None:
    rng = random.Random(7)
    with child(database) as running:
        before = running.warmed_up()
        for _ in range(DISCONNECTS):
            leave(running.server.port, rng)
        assert eventually(lambda: running.open_databases() == 0)
        assert eventually(lambda: running.open_files() <= before)
        assert running.server.get(f"{STREAM}?limit=1")[0].status == 200
        assert "Traceback" not in running.log.read_text()


def test_a_healthy_client_is_served_among_trickling_ones(database: Path) -> None:
    with child(database, '{"head_seconds": 4}') as running, ExitStack() as stack:
        before = running.warmed_up()
        lorises = [
            stack.enter_context(socket.create_connection(("127.0.0.1", running.server.port), timeout=60))
            for _ in range(LORISES)
        ]
        for client in lorises:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX")
        for _ in range(3):
            _trickle(lorises)
            response, body = running.server.get(f"{STREAM}?limit=500&format=ndjson")
            assert (response.status, len(body.splitlines())) == (200, 500)
        assert eventually(lambda: not _trickle(lorises), OPENING)  # each was cut although it went on
        assert eventually(lambda: running.open_files() <= before)


def _trickle(clients: list[socket.socket]) -> int:
    """Send a byte on each connection; the number that still takes it."""
    alive = 0
    for client in clients:
        try:
            client.send(b"y")
            alive += 1
        except OSError:
            continue
    return alive


def stall(running: ServerChild, stack: ExitStack) -> socket.socket:
    """A reader that asks for everything and takes next to nothing."""
    client = stack.enter_context(socket.socket())
    client.settimeout(20)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", running.server.port))
    client.sendall(f"GET {STREAM} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    client.recv(10)
    return client


def test_readers_that_stall_are_cut_and_make_room(database: Path) -> None:
    settings = json.dumps({"active_streams": STALLED, "write_seconds": 2})
    with child(database, settings) as running, ExitStack() as stack:
        clients = [stall(running, stack) for _ in range(STALLED)]
        assert running.server.get(STREAM)[0].status == 503
        assert eventually(lambda: running.open_databases() == 0, OPENING)
        assert running.server.get(f"{STREAM}?limit=1")[0].status == 200
        for client in clients:
            with pytest.raises(ConnectionResetError):
                list(iter(lambda client=client: client.recv(2**16), b""))  # type: ignore[misc]
        lines = running.log.read_text().splitlines()
        assert sum("did not take a chunk" in line for line in lines) == STALLED == len(lines) - 1


@pytest.mark.slow
def test_a_signal_ends_the_server_in_time_whoever_reads(database: Path) -> None:
    """Streams that move go on to their end, those that stall are cut, and the process is gone."""
    patience = 15  # seconds; the moving stream takes half of one, on a busy machine more
    with child(database, f'{{"shutdown_seconds": {patience}}}') as running, ExitStack() as stack:
        for _ in range(8):
            stall(running, stack)
        with running.server.answer(f"{STREAM}?format=ndjson&footer=1") as response:
            first = response.read(1000)
            running.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            rest = response.read()
        running.process.wait(timeout=patience + OPENING)
        log = running.log.read_text()
    assert (first + rest).count(b"\n") == ROWS + 1
    assert running.process.returncode == -signal.SIGTERM
    assert log.count("aborted: the server is stopping") == 8
    assert "Traceback" not in log


def test_a_database_replaced_under_load_mixes_nothing(tmp_path: Path) -> None:
    """Every stream holds one generation of rows, as many as were counted."""
    generations = [[flow(number, src_comp=f"G{kind}") for number in range(1, 9_000 + kind)] for kind in range(4)]
    copies = [build(tmp_path / f"{kind}.source", rows).read_bytes() for kind, rows in enumerate(generations)]
    path = tmp_path / "flows.db"
    path.write_bytes(copies[0])

    async def streams(port: int) -> set[bytes]:
        seen: set[bytes] = set()
        for round_ in range(REPLACEMENTS):
            tasks = [asyncio.ensure_future(fetch(port, "format=csv&footer=1")) for _ in range(6)]
            await asyncio.sleep(random.Random(round_).random() * 0.03)
            _replace(path, copies[(round_ + 1) % 4])
            for reply in await asyncio.gather(*tasks):
                assert reply.status == 200
                seen.add(_generation(reply))
        return seen

    with child(path) as running:
        assert asyncio.run(streams(running.server.port)) == {b"G0", b"G1", b"G2", b"G3"}
        assert eventually(lambda: running.open_databases() == 0)


def _replace(path: Path, data: bytes) -> None:
    new = path.with_name("new.db")
    new.write_bytes(data)
    new.replace(path)


def _generation(reply: Reply) -> bytes:
    _, *rows, footer = reply.body.splitlines()
    (kind,) = {row.split(b",")[3] for row in rows}
    assert len(rows) == int(reply.headers["record-count"]) == 8_999 + int(kind[1:])
    assert footer == b"end,%d" % len(rows)
    assert all(int(after.split(b",")[0]) == int(before.split(b",")[0]) + 1 for before, after in pairwise(rows))
    return kind
