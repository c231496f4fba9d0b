"""A scripted HTTP server on a raw socket: it sends exactly the bytes it is told to, faults included."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import stamina


@dataclass
class ScriptedServer:
    """Answers each connection with the next script (the last one for ever); keeps the requests it got."""

    scripts: list[bytes] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    _socket: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/api/v1/stream/flows"

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self.requests.append(_request(connection))
                script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
                connection.sendall(script)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def _request(connection: socket.socket) -> str:
    data = b""
    while b"\r\n\r\n" not in data and (chunk := connection.recv(4096)):
        data += chunk
    return data.decode()


def answer(body: bytes, *, kind: str = "application/json", status: str = "200 OK", **headers: str) -> bytes:
    """A whole answer with its Content-Length; underscores in header names become hyphens."""
    fields = {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    scripted = ScriptedServer()
    thread = threading.Thread(target=scripted.serve, daemon=True)
    thread.start()
    yield scripted
    scripted.close()
    thread.join(5)


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    """Retries happen at once in tests; how long they wait is asserted on the schedule, not lived through."""
    with stamina.set_testing(True, attempts=10, cap=True):
        yield
