"""A scripted HTTP server on a raw socket: it sends exactly the bytes of its scripts, faults included."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

LINGER_NONE = struct.pack("ii", 1, 0)  # closing sends RST and not FIN


class Reset(bytes):
    """A script after which the connection is reset."""

    __slots__ = ()


@dataclass(frozen=True)
class Trickle:
    """Bytes at once, then one byte at a time at an interval in seconds."""

    first: bytes
    rest: bytes
    every: float

    def send(self, connection: socket.socket) -> None:
        connection.sendall(self.first)
        for byte in self.rest:
            time.sleep(self.every)
            connection.sendall(bytes([byte]))


type Script = bytes | Trickle


@dataclass
class ScriptedServer:
    """Answers every connection with the next script, the last one again and again; keeps the requests it got."""

    scripts: list[Script] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    _socket: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    @property
    def url(self) -> str:
        return f"{self.origin}/api/v1/stream/flows"

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, suppress(OSError):  # the client may leave first
                self.requests.append(_request(connection))
                script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
                _send(connection, script)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def _send(connection: socket.socket, script: Script) -> None:
    if isinstance(script, Trickle):
        script.send(connection)
        return
    connection.sendall(script)
    if isinstance(script, Reset):
        time.sleep(0.01)  # what was sent should arrive: a reset may overtake it
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)


def _request(connection: socket.socket) -> str:
    data = b""
    while b"\r\n\r\n" not in data and (chunk := connection.recv(4096)):
        data += chunk
    return data.decode("latin-1")


def answer(body: bytes, *, kind: str = "application/json", status: str = "200 OK", **headers: str) -> bytes:
    """A complete answer with its Content-Length; underscores in header names become hyphens."""
    fields = {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


@contextmanager
def scripted_server() -> Iterator[ScriptedServer]:
    """A server on a free port for the length of the block."""
    scripted = ScriptedServer()
    thread = threading.Thread(target=scripted.serve, daemon=True)
    thread.start()
    try:
        yield scripted
    finally:
        scripted.close()
        thread.join(5)
