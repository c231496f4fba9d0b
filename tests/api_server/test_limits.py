"""Limits of one connection and of all streams: exact where they are sizes, kept in time where they are deadlines."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPResponse
from pathlib import Path

import pytest

from api_server.http.admission import Admission
from api_server.http.connection import HEAD_BYTES
from api_server.http.middleware import TARGET_BYTES
from api_server.http.problems import Problem
from tests.conditions import eventually

from .conftest import Serve, Server, build, configured, drained, flows, open_files, running

STREAM = "/api/v1/stream/flows"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return build(tmp_path / "flows.db", flows(200_000))


@contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        yield client


def answer(client: socket.socket) -> tuple[int, bytes]:
    response = HTTPResponse(client)
    response.begin()
    return response.status, response.read()


def head(size: int, path: str = "/healthz") -> bytes:
    """A request of exactly `size` bytes."""
    start = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nX: ".encode()
    return start + b"y" * (size - len(start) - 4) + b"\r\n\r\n"


def test_slots_are_counted() -> None:
    admission = Admission(1)
    slot = admission.take()
    with pytest.raises(Problem, match="1 streams are running") as caught:
        admission.take()
    assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "2"})
    slot.release()
    slot.release()
    assert admission.active == 0
    admission.take()
    assert admission.active == 1


def test_streams_beyond_the_slots_are_refused(serve: Serve, database: Path) -> None:
    server = serve(database, active_streams=2)
    with ExitStack() as stack:
        streams = [stack.enter_context(server.answer(f"{STREAM}?format=ndjson")) for _ in range(2)]
        assert [response.status for response in streams] == [200, 200]
        refused, body = server.get(STREAM)
        assert (refused.status, refused.headers["Retry-After"]) == (503, "2")
        assert json.loads(body)["type"] == "/#too-many-streams"
        assert server.get(STREAM, "HEAD")[0].status == 200  # no stream
        assert server.get("/api/v1/flows/latest")[0].status == 200
        for response in streams:
            assert len(response.read().splitlines()) == 200_000
    assert server.get(f"{STREAM}?limit=1")[0].status == 200


@pytest.mark.parametrize("path", [f"{STREAM}?limit=0", f"{STREAM}?limit=1", "/healthz"])
def test_a_slot_is_free_after_every_end(serve: Serve, database: Path, path: str) -> None:
    server = serve(database, active_streams=1)
    for _ in range(3):
        server.get(path)
        with server.answer(STREAM) as response:  # leaves in the middle
            response.read(10)
        assert eventually(lambda: server.get(f"{STREAM}?limit=1")[0].status == 200)
    database.unlink()
    assert [server.get(STREAM)[0].status for _ in range(2)] == [503, 503]
    assert b"database-unavailable" in server.get(STREAM)[1]


@pytest.mark.parametrize(("size", "status"), [(HEAD_BYTES, 200), (HEAD_BYTES + 1, 431), (100_000, 431)])
@pytest.mark.parametrize("pieces", [1, 3])
def test_the_head_may_have_exactly_so_many_bytes(
    serve: Serve, database: Path, *, size: int, status: int, pieces: int
) -> None:
    with connected(serve(database)) as client:
        data = head(size)
        try:
            for start in range(0, size, size // pieces + 1):
                client.sendall(data[start : start + size // pieces + 1])
        except ConnectionError:
            assert status == 431
        else:
            assert answer(client)[0] == status


@pytest.mark.parametrize("before", [b"", b"abc"])
def test_a_pipelined_head_is_capped_too(serve: Serve, database: Path, before: bytes) -> None:
    first = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (len(before), before)
    with connected(serve(database)) as client:
        client.sendall(first + first + head(HEAD_BYTES) + head(60_000))
        received = b""
        try:
            while data := client.recv(2**16):
                received += data
        except ConnectionError:
            pass  # it was reset: the rest of the long head was never read
    assert received.count(b"HTTP/1.1 200 OK") == 3
    assert received.count(b"HTTP/1.1 431 ") <= 1
    assert received.count(b"HTTP/1.1 ") <= 4


@pytest.mark.parametrize(("size", "status"), [(TARGET_BYTES, 400), (TARGET_BYTES + 1, 414)])
def test_the_target_may_have_exactly_so_many_bytes(serve: Serve, database: Path, size: int, status: int) -> None:
    response, body = serve(database).get(f"/healthz?{'x' * (size - len('/healthz?'))}")
    assert response.status == status
    assert len(body) < 1000
    assert response.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("data", [b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"GET /\r\n\r\n", b"\0" * 50 + b"\r\n\r\n"])
def test_what_is_no_http_is_told_so(serve: Serve, database: Path, data: bytes) -> None:
    with connected(serve(database)) as client:
        client.sendall(data)
        status, body = answer(client)
    assert status == 400
    assert json.loads(body)["type"] == "/#not-http"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"", b""),
        (b"GET / HT", b"HTTP/1.1 408 "),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n", b"HTTP/1.1 200 OK"),
    ],
    ids=["nothing", "half a head", "half a body"],
)
def test_a_connection_must_bring_a_whole_request(serve: Serve, database: Path, sent: bytes, expected: bytes) -> None:
    server = serve(database, head_seconds=2)  # what is sent at once must be there by then
    with connected(server) as client:
        client.sendall(sent)
        received = b""
        client.settimeout(0.1)
        for _ in range(600):  # a minute; trickles on, which must not help
            try:
                data = client.recv(2**16)
                received += data
                if not data:
                    break
                client.sendall(b"x")
            except TimeoutError:
                continue
            except ConnectionError:
                break
        else:
            pytest.fail("the connection was kept")
    assert received.startswith(expected)


def test_a_reader_that_stalls_is_cut(serve: Serve, database: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = serve(database, write_seconds=0.5)
    with connected(server) as client:
        client.sendall(f"GET {STREAM} HTTP/1.0\r\n\r\n".encode())
        client.recv(10)
        assert eventually(lambda: "did not take a chunk" in caplog.text)
        with pytest.raises(ConnectionResetError):
            list(drained(client.recv))
    assert eventually(lambda: open_files(database) == 0)
    assert len(caplog.records) == 1


@pytest.mark.slow
def test_a_slow_reader_is_not_cut(serve: Serve, database: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It takes longer than the deadline for all, and much less for a piece, on a busy machine too."""
    deadline, pause = 4, 0.08
    with serve(database, write_seconds=deadline).answer(f"{STREAM}?format=ndjson") as response:
        lines = pieces = 0
        while data := response.read(500_000):
            lines, pieces = lines + data.count(b"\n"), pieces + 1
            eventually(lambda: False, pause)
    assert pieces * pause > deadline
    assert lines == 200_000
    assert caplog.records == []


def test_no_head_is_awaited_while_an_answer_is_sent(database: Path) -> None:
    config, features = configured(database, head_seconds=1)
    with running(config, features, send_buffer=2048) as server, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.connect(("127.0.0.1", server.port))
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")  # its page is longer than both buffers
        client.recv(10, socket.MSG_PEEK)
        eventually(lambda: False, 2)
        assert answer(client)[0] == 200
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer(client)[0] == 200


def test_the_rest_of_an_answer_has_the_deadline_too(database: Path) -> None:
    """An answer the server is done with, a connection it has closed, a reader that never takes the last bytes."""
    config, features = configured(database, write_seconds=3, shutdown_seconds=1)
    with running(config, features, send_buffer=2048) as server, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.connect(("127.0.0.1", server.port))
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")  # less than the 64 KiB from which asyncio itself would wait
        client.recv(10)
        mine = client.getsockname()[1]
        assert f":{mine:04X} " in _established(server.port)
        assert eventually(lambda: f":{mine:04X} " not in _established(server.port))
        with pytest.raises(ConnectionResetError):
            list(drained(client.recv))


def _established(port: int) -> str:
    """The server's ends of connections, with the other end's port, from the kernel's table."""
    lines = Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]
    rows = [line.split() for line in lines]
    return " ".join(f"{row[2]} " for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "01")
