"""Databases built straight from the layout, and the real server over them, in a thread of this process."""

import logging
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any, Protocol

import apsw
import pytest
import uvicorn

from api_server.config import ServerConfig
from api_server.cves import openapi as cves_openapi
from api_server.cves.feature import CveFeature
from api_server.flows import openapi as flows_openapi
from api_server.flows.feature import FlowsFeature
from api_server.flows.state import FlowsConfig
from api_server.http.certificate import certificate_of
from api_server.http.feature import Feature
from api_server.openapi import document
from api_server.server import bound, uvicorn_settings
from flows_platform.domain.verification import Value
from flows_platform.flow_database import layout
from flows_platform.sources.lanl_flows.schema import FLOWS
from flows_platform.sources.nvd_cves.store import CveStore
from flows_platform.sql import engines
from tests.sources.nvd_cves.cve_objects import Cve

type Row = tuple[Value, ...]


def flow(number: int, **changes: Value) -> Row:
    """A row that nobody would mistake for another."""
    row: dict[str, Value] = {
        "id": number,
        "time": number // 10,
        "duration": number % 60,
        "src_comp": f"C{number % 977}",
        "src_port": f"N{number % 613}",
        "dst_comp": f"C{number % 89}",
        "dst_port": str(number % 1024),
        "protocol": 6,
        "packet_count": number % 1000 + 1,
        "byte_count": number * 40 + 2**31,
    }
    return tuple((row | changes).values())


def flows(count: int) -> list[Row]:
    return [flow(number) for number in range(1, count + 1)]


@contextmanager
def _written(path: Path) -> Iterator[apsw.Connection]:
    connection = apsw.Connection(str(path))
    connection.pragma("synchronous", "off")
    try:
        with connection:
            yield connection
    finally:
        connection.close()


def insert(connection: apsw.Connection, rows: Iterable[Row]) -> None:
    connection.executemany(f"INSERT INTO flows VALUES ({', '.join('?' * len(FLOWS.columns))})", rows)


def build(path: Path, rows: Sequence[Row]) -> Path:
    """A database as a load leaves it."""
    ids_and_times = sorted((int(row[0] or 0), int(row[1] or 0)) for row in rows)
    ids = [number for number, _ in ids_and_times]
    times = [second for _, second in ids_and_times]
    contiguous = not ids or ids[-1] - ids[0] + 1 == len(ids)
    with _written(path) as connection:
        connection.execute(layout.create_table(FLOWS))
        connection.execute(layout.CREATE_SUMMARY)
        connection.execute(layout.CREATE_REJECTS)
        insert(connection, rows)
        connection.execute(layout.create_index(FLOWS))
        facts = ("flows", len(rows), times == sorted(times), contiguous)
        connection.execute("INSERT INTO load_facts VALUES (?, ?, ?, ?)", facts)
        for trigger in layout.create_triggers(FLOWS):
            connection.execute(trigger)
    return path


def build_plain(path: Path, rows: Sequence[Row], declaration: str = "id INTEGER PRIMARY KEY", tail: str = "") -> Path:
    """A table that another tool made: not STRICT, without a summary; `declaration` is that of the id."""
    others = ", ".join(f"{column.name} {layout.SQLITE_TYPES[column.type]}" for column in FLOWS.columns[1:])
    with _written(path) as connection:
        connection.execute(f"CREATE TABLE flows ({declaration}, {others}) {tail}")
        insert(connection, rows)
    return path


def build_cves(path: Path, cves: Iterable[Cve]) -> Callable[[], str]:
    """A database of CVEs; returns what gives its URL, as the server takes it."""
    url = f"sqlite:///{path}"
    engine = engines.writer(url)
    store = CveStore(engine)
    store.create_tables()
    store.upsert(cves)
    engine.dispose()
    return lambda: url


def configured(
    database: Path, cves_url: Callable[[], str] | None = None, **settings: Any
) -> tuple[ServerConfig, list[Feature]]:
    """A server of flows and CVEs; `settings` are those of the server and of flows."""
    of_flows = {field.name: settings.pop(field.name) for field in fields(FlowsConfig) if field.name in settings}
    return ServerConfig(**settings), [FlowsFeature(FlowsConfig(database, **of_flows)), CveFeature(cves_url)]


def openapi_document(*, secured: bool = False) -> dict[str, Any]:
    """The OpenAPI description of such a server."""
    return document([flows_openapi.description(FLOWS), cves_openapi.description()], secured=secured)


@dataclass(frozen=True)
class Server:
    """A server that runs; every call is one request on a connection of its own."""

    port: int

    @contextmanager
    def answer(self, path: str, method: str = "GET", **headers: str) -> Iterator[HTTPResponse]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, headers={name.replace("_", "-"): text for name, text in headers.items()})
            yield connection.getresponse()
        finally:
            connection.close()

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[HTTPResponse, bytes]:
        with self.answer(path, method, **headers) as response:
            return response, response.read()


@contextmanager
def running(config: ServerConfig, features: Sequence[Feature], send_buffer: int = 0) -> Iterator[Server]:
    """A server; the kernel keeps `send_buffer` bytes of an answer that is not taken, or as many as it likes."""
    certificate = certificate_of(config)
    settings = uvicorn_settings(config, features, certificate)
    with bound("127.0.0.1", 0) as listener:
        if send_buffer:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        server = uvicorn.Server(settings)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield Server(listener.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


class Serve(Protocol):
    def __call__(self, database: Path, send_buffer: int = 0, **settings: Any) -> Server: ...


@pytest.fixture
def serve(caplog: pytest.LogCaptureFixture) -> Iterator[Serve]:
    """Start a server over a database; it ends with the test. Its log, which does not propagate, goes to caplog."""
    with ExitStack() as stack:

        def start(database: Path, send_buffer: int = 0, **settings: Any) -> Server:
            config, features = configured(database, **{"shutdown_seconds": 1} | settings)
            server = stack.enter_context(running(config, features, send_buffer))
            for name in ("api_server", "uvicorn"):
                logging.getLogger(name).addHandler(caplog.handler)
            return server

        yield start


def drained(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """Everything that a `recv` or `read1` still gives."""
    while data := read(2**18):
        yield data


def open_files(path: Path) -> int:
    """How many descriptors of this process are open on a file, deleted or not."""
    count = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            count += str(path) in str(entry.readlink())
        except OSError:
            continue
    return count
