"""Slow bodies, large bodies and hostile ones beside a healthy sender: it is served, and memory has a limit."""

import gzip
import json
import re
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.processes import memory
from flows_platform.stores.object_store import is_key
from tests.conditions import eventually
from tests.faults.hooks_server import PATH
from tests.faults.hooks_world import MS, World, record, running
from tests.faults.scale import scaled
from tests.webhooks.declared import KEY

pytestmark = [pytest.mark.slow, pytest.mark.faults]

SLOW = scaled(full=1_000, ci=200)
HEALTHY = 40
MOST_MEMORY = 150 * 2**20
RAW = scaled(full=2_000, ci=60)
URL = f"{PATH}?key={KEY}"
LAYOUT = re.compile(
    r"webhooks/\d{4}/\d\d/\d\d/\d\d/\d\d/[A-Za-z0-9][A-Za-z0-9._:-]{3,199}(~[0-9a-f]{8,28})?"
    r"|deliveries/\d{4}/\d\d/\d\d/\d\d/[0-9a-f]{64}(~[0-9a-f]{8,28})?"
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with running(World(tmp_path, body_seconds=5)) as started:
        yield started


@contextmanager
def many_files() -> Iterator[None]:
    """This process holds the other ends of all connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def head(*lines: str) -> bytes:
    return "\r\n".join([f"POST {URL} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


def answer(connection: socket.socket) -> bytes:
    found = b""
    while data := connection.recv(65536):
        found += data
    return found


def test_slow_bodies_take_nothing_from_a_healthy_sender(world: World) -> None:
    with many_files(), ExitStack() as stack:
        slow = []
        for number in range(SLOW):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", world.port), timeout=60))
            length = "Transfer-Encoding: chunked" if number % 2 else "Content-Length: 100000"
            connection.sendall(head(length) + (b"1\r\n{\r\n" if number % 2 else b"{"))
            slow.append(connection)
        statuses = [world.send([record(f"healthy-{number}")], "") for number in range(HEALTHY)]
        assert statuses == [200] * HEALTHY
        answers = [answer(connection) for connection in slow]
    assert {found[:13] for found in answers} == {b"HTTP/1.1 408 "}
    assert sorted(world.held) == sorted(record(f"healthy-{number}") for number in range(HEALTHY))


def large_texts(number: int) -> bytes:
    """Three records of a few long texts."""
    alerts = [{"id": f"texts-{number}-{index}", "created_at": MS, "text": "é" * 170_000} for index in range(3)]
    return json.dumps({"alerts": alerts}, ensure_ascii=False).encode()


def small_values(number: int) -> bytes:
    """A record of 340,000 values, which take 25 times as much memory as their text."""
    return b'{"alerts": [{"id": "values-%d", "created_at": %d, "a": [%s]}]}' % (
        number,
        MS,
        b",".join([b"[]"] * 340_000),
    )


@pytest.mark.parametrize(("made", "senders"), [(large_texts, 64), (small_values, 16)])
def test_many_large_bodies_at_once_need_little_memory(world: World, made: Callable[[int], bytes], senders: int) -> None:
    assert world.process is not None
    barrier = threading.Barrier(senders)

    def send(number: int) -> int:
        body = made(number).ljust(1 << 20)
        assert len(body) == 1 << 20
        barrier.wait()
        while (status := world.post(body)) == 503:  # bodies that are held at once have a limit
            continue
        return status

    with ThreadPoolExecutor(senders) as pool:
        assert list(pool.map(send, range(senders))) == [200] * senders
    assert {name.split(b'"')[3].split(b"-")[1] for name in world.held} == {b"%d" % number for number in range(senders)}
    assert memory(world.process.pid, "VmHWM") <= MOST_MEMORY


def compressed(body: bytes) -> tuple[bytes, dict[str, str]]:
    return gzip.compress(body), {"Content-Encoding": "gzip"}


def with_id(text: str) -> bytes:
    return json.dumps({"alerts": [{"id": text, "created_at": MS}]}).encode()


IDS = [
    "../../x", "..", ".", "a/b", "/etc/passwd", "a..b", "%2e%2e%2fx", "a\\b", "a\0bc", "\uff41bcd", "abc\n", "abc",
    "x" * 201, "~abcd", "abcd~1", "-abc", " abcd", "", "{id}", "CON\u202e",
]  # fmt: skip
BODIES: list[tuple[bytes, dict[str, str], int]] = [
    *((with_id(text), {}, 400) for text in IDS),
    (b"", {}, 400),
    (b"null", {}, 400),
    (b"[]", {}, 400),
    (b'{"alerts": {}}', {}, 400),
    (b'{"alerts": [[]]}', {}, 400),
    (b'{"alerts": [null]}', {}, 400),
    (b'{"alerts": ' + b"[" * 100_000, {}, 400),
    (b'{"a": NaN}', {}, 400),
    (b'{"a": 1e999, "alerts": []}', {}, 400),
    (b'{"a": ' + b"9" * 5000 + b"}", {}, 400),
    (b'{"id": "\\ud800"}', {}, 400),
    (b'{"alerts": [], "alerts": []}', {}, 400),
    (b"\xff\xfe{}", {}, 400),
    (b"\xef\xbb\xbf{}", {}, 400),
    (b'{"alerts": [' + b",".join([b'{"id":"abcd","created_at":1}'] * 1001) + b"]}", {}, 400),
    (*compressed(b"{" + b" " * (2 << 20)), 413),
    (*compressed(b"{}" * 2)[:1], {"Content-Encoding": "gzip, gzip"}, 415),
    (gzip.compress(b"{}") + b"x", {"Content-Encoding": "gzip"}, 400),
    (gzip.compress(b"{}")[:-4], {"Content-Encoding": "gzip"}, 400),
    (b"{}", {"Content-Encoding": "gzip"}, 400),
    (b"{}", {"Content-Encoding": "br"}, 415),
    (b"{}" + b" " * (1 << 20), {}, 413),
]


def keys_of(world: World) -> list[str]:
    archive = world.folder / "archive"
    return [str(path.relative_to(archive)) for path in archive.rglob("*") if path.is_file()]


def test_hostile_bodies_are_refused_and_leave_evidence_alone(world: World) -> None:
    for body, headers, status in BODIES:
        assert world.post(body, headers=headers) == status, body[:60]
    assert world.held == []
    assert all(LAYOUT.fullmatch(key) for key in keys_of(world))
    assert sorted(path.name for path in world.folder.iterdir() if "alerts.db" not in path.name) == ["archive", "log"]
    assert world.send([record("5a3c")], "") == 200


TEXTS = st.one_of(st.text(max_size=12), st.sampled_from(IDS), st.from_regex(r"[A-Za-z0-9._:-]{4,12}", fullmatch=True))
VALUES = st.one_of(TEXTS, st.integers(-(10**20), 10**20), st.just(MS), st.none(), st.floats(), st.booleans())
RECORDS = st.lists(st.one_of(VALUES, st.fixed_dictionaries({"id": VALUES, "created_at": VALUES})), max_size=4)
ANY = st.one_of(
    st.binary(max_size=200),
    RECORDS.map(lambda found: json.dumps({"alerts": found}).encode()),
    st.tuples(RECORDS, st.binary(max_size=3), st.integers(0, 60)).map(
        lambda given: (text := json.dumps({"alerts": given[0]}).encode())[: given[2]] + given[1] + text[given[2] :]
    ),
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(World(tmp_path_factory.mktemp("any"))) as started:
        yield started


@settings(max_examples=RAW, database=None, suppress_health_check=list(HealthCheck))
@given(body=ANY)
def test_any_body_is_archived_or_refused(shared: World, body: bytes) -> None:
    before = len(shared.held)
    status = shared.post(body)
    assert status in {200, 400}
    assert len(shared.held) == before or status == 200
    assert all(is_key(key) and LAYOUT.fullmatch(key) for key in keys_of(shared))


@settings(max_examples=RAW, database=None, suppress_health_check=list(HealthCheck))
@given(
    lines=st.lists(
        st.sampled_from([
            "Content-Length: 5", "Content-Length: 50", "Content-Length: -1", "Content-Length: x",
            "Content-Length: 5, 5", "Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: identity",
            "Expect: 100-continue", "Content-Encoding: gzip", "Connection: close", "Upgrade: websocket", "Host: x y",
        ]),
        max_size=3,
    ),
    body=st.sampled_from([
        b"", b"{}", b"5\r\n{   }\r\n0\r\n\r\n", b"-1\r\n", b"ffffffffffffffff\r\n{", with_id("5a3c"),
    ]),
)  # fmt: skip
def test_any_framing_is_answered_or_cut(shared: World, lines: list[str], body: bytes) -> None:
    with socket.create_connection(("127.0.0.1", shared.port), timeout=60) as connection:
        connection.sendall(head(*lines) + body)
        connection.shutdown(socket.SHUT_WR)
        try:
            found = answer(connection)
        except ConnectionResetError:
            found = b""
    assert b"HTTP/1.1 500" not in found
    eventually(lambda: shared.post(b"{}") == 400)
