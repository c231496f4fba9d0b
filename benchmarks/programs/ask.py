"""A client that asks the same again and again: `ask.py HOST PORT PATH COUNT [--etag] [--at-once]`.

Prints the seconds of all requests and the median of one. The connection is used again as long as the server keeps it.
With --etag the first answer's ETag is sent back, and every answer must be a 304. With --at-once all requests are sent
side by side, on connections of their own. Standard library only.
"""

import argparse
import json
import selectors
import socket
import statistics
import sys
import time

BUFFER = 1 << 20
END = b"\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"  # no server under test ends a chunk's data with it


class Connection:
    """A connection that is opened again where the server closed it."""

    def __init__(self, address: tuple[str, int], request: bytes) -> None:
        self.address, self.request = address, request
        self.socket: socket.socket | None = None

    def ask(self) -> tuple[bytes, int]:
        """The head of an answer, and the bytes of its body."""
        if self.socket is None:
            self.socket = socket.create_connection(self.address)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(self.request)
        data = b""
        while END not in data:
            data += self._read()
        head, _, body = data.partition(END)
        if field(head, b"transfer-encoding") == b"chunked":
            while not body.endswith(LAST_CHUNK):
                body += self._read()
            size = len(body)
        else:
            size, got = int(field(head, b"content-length") or 0), len(body)
            while got < size:
                got += len(self._read())
        if head.startswith(b"HTTP/1.0") or field(head, b"connection") == b"close":
            self.socket.close()
            self.socket = None
        return head, size

    def _read(self) -> bytes:
        assert self.socket is not None  # noqa: S101 - it was opened above
        data = self.socket.recv(BUFFER)
        if not data:
            sys.exit("an answer ended early")
        return data


def field(head: bytes, name: bytes) -> bytes:
    """A header's value in lower case, except an ETag's; empty without it."""
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return b""


def in_turn(connection: Connection, count: int, status: bytes) -> list[float]:
    """The seconds of every request."""
    taken = []
    for _ in range(count):
        started = time.perf_counter()
        head, _ = connection.ask()
        taken.append(time.perf_counter() - started)
        if status not in head.split(b"\r\n")[0]:
            sys.exit(f"the server said {head.decode(errors='replace')[:300]}")
    return taken


def at_once(address: tuple[str, int], request: bytes, count: int) -> None:
    """Send all requests, then read all answers to their ends."""
    with selectors.DefaultSelector() as selector:
        for _ in range(count):
            opened = socket.create_connection(address)
            opened.sendall(request)
            selector.register(opened, selectors.EVENT_READ, bytearray())
        buffer = bytearray(BUFFER)
        while selector.get_map():
            for key, _ in selector.select():
                assert isinstance(key.fileobj, socket.socket)  # noqa: S101 - as registered
                got = key.fileobj.recv_into(buffer)
                key.data.extend(buffer[:got])
                if not got:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()
                    if b" 200 " not in key.data[:20]:
                        sys.exit(f"the server said {key.data[:300].decode(errors='replace')}")


def main() -> None:
    """Read the arguments, then ask."""
    parser = argparse.ArgumentParser()
    for name, kind in (("host", str), ("port", int), ("path", str), ("count", int)):
        parser.add_argument(name, type=kind)
    parser.add_argument("--etag", action="store_true")
    parser.add_argument("--at-once", action="store_true")
    given = parser.parse_args()
    address = (given.host, given.port)
    start = f"GET {given.path} HTTP/1.1\r\nHost: {given.host}\r\n".encode()
    request = start + (b"Connection: close\r\n" if given.at_once else b"") + b"\r\n"
    if given.etag:
        head, _ = Connection(address, request).ask()
        request = start + b"If-None-Match: " + field(head, b"etag") + END
    started = time.perf_counter()
    if given.at_once:
        at_once(address, request, given.count)
        taken = [time.perf_counter() - started]
    else:
        taken = in_turn(Connection(address, request), given.count, b" 304 " if given.etag else b" 200 ")
    print(json.dumps({"seconds": time.perf_counter() - started, "median": statistics.median(taken)}))


if __name__ == "__main__":
    main()
