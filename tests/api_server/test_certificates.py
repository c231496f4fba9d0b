"""The certificate of a server that serves, replaced on SIGHUP; and a further port. Real handshakes with a process."""

import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPSConnection
from pathlib import Path

import pytest

from api_server.http.certificate import Certificate
from api_server.server import run
from flows_platform.domain.errors import ConfigurationError
from flows_platform.local.ports import free_port
from tests.fakes.certificates import Authority, Issued
from tests.opens import Opens

from .conftest import build, configured, flows

CODE = """
import sys
from pathlib import Path
from api_server.config import ServerConfig
from api_server.flows.feature import FlowsFeature
from api_server.flows.state import FlowsConfig
from api_server.server import run
database, certificate, key, *ports = sys.argv[1:]
config = ServerConfig(
    certificate=Path(certificate), key=Path(key), also_ports=tuple(map(int, ports)), shutdown_seconds=1
)
run(config, [FlowsFeature(FlowsConfig(Path(database)))], "127.0.0.1", 0)
"""


@dataclass
class Served:
    """A process that serves TLS. `issued` are the files that it reads."""

    process: subprocess.Popen[str]
    authority: Authority
    issued: Issued
    ports: list[int] = field(default_factory=list)

    def connected(self, port: int | None = None) -> HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self.authority.path))
        return HTTPSConnection("127.0.0.1", port or self.ports[0], context=context, timeout=60)

    def shown(self, port: int | None = None) -> bytes:
        """The certificate that a new connection gets."""
        with closing(self.connected(port)) as connection:
            return shown(connection)

    def replace(self, by: Issued) -> None:
        shutil.copy(by.certificate, self.issued.certificate)
        shutil.copy(by.key, self.issued.key)

    def hang_up(self) -> str:
        """SIGHUP; returns the line that the process writes of it."""
        self.process.send_signal(signal.SIGHUP)
        assert self.process.stderr is not None
        return self.process.stderr.readline()


@contextmanager
def serving(folder: Path, *ports: int) -> Iterator[Served]:
    authority = Authority.named("ca", folder)
    issued = authority.issue("served", identified=True)
    files = [build(folder / "flows.db", flows(10)), issued.certificate, issued.key, *ports]
    argv = [sys.executable, "-W", "error", "-c", CODE, *map(str, files)]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            found = [int(port) for port in re.findall(r"https://127\.0\.0\.1:(\d+)/", line)]
            assert found, line + process.stderr.read()
            yield Served(process, authority, issued, found)
        finally:
            process.kill()


def shown(connection: HTTPSConnection) -> bytes:
    """The certificate that the server showed, after a request."""
    connection.request("GET", "/healthz")
    response = connection.getresponse()
    assert (response.status, response.read()) == (200, b'{"status":"ok"}')
    assert isinstance(connection.sock, ssl.SSLSocket)
    return connection.sock.getpeercert(binary_form=True) or b""


def test_a_certificate_is_read_once_when_the_server_starts(tmp_path: Path) -> None:
    opens = Opens(tmp_path)
    alone = Authority.named("ca", tmp_path).issue("alone", identified=True)
    Certificate(alone.certificate, alone.key)
    for_one = opens.of(alone.certificate.name), opens.of(alone.key.name)
    with serving(tmp_path) as served:
        served.shown()
        found = opens.of(served.issued.certificate.name), opens.of(served.issued.key.name)
    opens.close()
    assert found == for_one


def test_a_certificate_is_replaced_while_connections_run(tmp_path: Path) -> None:
    with serving(tmp_path) as served, closing(served.connected()) as running:
        first = shown(running)
        served.replace(served.authority.issue("second", identified=True))
        assert served.shown() == first  # until it is asked to
        assert f"the certificate {served.issued.certificate} was read again" in served.hang_up()
        second = served.shown()
        assert second != first
        assert shown(running) == first
        served.replace(served.authority.issue("third", identified=True))
        served.hang_up()
        assert served.shown() not in {first, second}


@pytest.mark.parametrize("change", ["missing", "half", "other key", "encrypted"])
def test_a_certificate_that_cannot_be_used_changes_nothing(tmp_path: Path, change: str) -> None:
    with serving(tmp_path) as served:
        first = served.shown()
        match change:
            case "missing":
                served.issued.key.unlink()
            case "half":
                served.issued.certificate.write_bytes(served.issued.certificate.read_bytes()[:200])
            case "other key":
                shutil.copy(served.authority.issue("second", identified=True).key, served.issued.key)
            case "encrypted":
                served.replace(served.authority.issue("second", identified=True, password="a-password"))  # noqa: S106
        line = served.hang_up()
        assert "ERROR the certificate stays as it was: the certificate" in line
        assert f"{served.issued.certificate} with the key {served.issued.key} cannot be used" in line
        assert served.shown() == first


def test_a_further_port_serves_the_same(tmp_path: Path) -> None:
    with serving(tmp_path, free_port()) as served:
        assert len(set(served.ports)) == 2
        assert len({served.shown(port) for port in served.ports}) == 1
        served.replace(served.authority.issue("second", identified=True))
        served.hang_up()
        assert len({served.shown(port) for port in served.ports}) == 1


def test_a_further_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config, features = configured(build(tmp_path / "flows.db", []), also_ports=(port,))
        with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port} is in use"):
            run(config, features, "127.0.0.1", 0)


def test_clients_that_name_no_server_get_the_new_one(tmp_path: Path) -> None:
    authority = Authority.named("ca", tmp_path)
    issued, second = authority.issue("first", identified=True), authority.issue("second", identified=True)
    certificate = Certificate(issued.certificate, issued.key)
    shutil.copy(second.certificate, issued.certificate)
    shutil.copy(second.key, issued.key)
    certificate.reload()
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(authority.path)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    speaker = client.wrap_bio(to_client, to_server)
    listener = certificate.context.wrap_bio(to_server, to_client, server_side=True)
    _shake(speaker, listener)
    assert ssl.DER_cert_to_PEM_cert(speaker.getpeercert(binary_form=True) or b"") == second.certificate.read_text()


def _shake(*sides: ssl.SSLObject) -> None:
    waiting = list(sides)
    while waiting:
        side = waiting.pop(0)
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            waiting.append(side)
