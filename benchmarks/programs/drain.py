"""A reader that costs as little as possible: `drain.py HOST PORT PATH [--streams N] [--gzip] [--first]`.

Sends the request on every connection, reads all answers to their ends and prints seconds, seconds to the first byte of
a body, and bytes. With --first it stops at that byte. Standard library only; chunk frames are not taken apart.
"""

import argparse
import json
import selectors
import socket
import sys
import time

BUFFER = 1 << 20
HEAD_END = b"\r\n\r\n"


class Reader:
    """One answer."""

    def __init__(self, address: tuple[str, int], request: bytes) -> None:
        self.socket = socket.create_connection(address)
        self.socket.sendall(request)
        self.head = b""
        self.bytes = 0
        self.began = False

    def read(self, buffer: memoryview) -> bool:
        """Read once; False at the end."""
        count = self.socket.recv_into(buffer)
        self.bytes += count
        if not self.began:
            self._read_head(bytes(buffer[:count]))
        return count > 0

    def _read_head(self, data: bytes) -> None:
        self.head += data
        head, end, body = self.head.partition(HEAD_END)
        if end and b" 200 " not in head.partition(b"\r\n")[0]:
            sys.exit(f"the server said {head.decode(errors='replace')[:300]}")
        self.began = bool(body)


def drain(readers: list[Reader], *, only_first: bool, started: float) -> float:
    """Read all to their ends; gives the seconds to the first byte of a body."""
    buffer, first = memoryview(bytearray(BUFFER)), 0.0
    with selectors.DefaultSelector() as selector:
        for reader in readers:
            selector.register(reader.socket, selectors.EVENT_READ, reader)
        while selector.get_map():
            for key, _ in selector.select():
                more = key.data.read(buffer)
                if key.data.began and not first:
                    first = time.perf_counter() - started
                    if only_first:
                        return first
                if not more:
                    selector.unregister(key.fileobj)
    if not all(reader.began for reader in readers):
        sys.exit("an answer had no body")
    return first


def main() -> None:
    """Read the arguments, then the answers."""
    parser = argparse.ArgumentParser()
    for name, kind in (("host", str), ("port", int), ("path", str)):
        parser.add_argument(name, type=kind)
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--gzip", action="store_true")
    parser.add_argument("--first", action="store_true")
    given = parser.parse_args()
    encoding = "gzip" if given.gzip else "identity"
    request = f"GET {given.path} HTTP/1.1\r\nHost: {given.host}\r\nAccept-Encoding: {encoding}\r\nConnection: close\r\n"
    started = time.perf_counter()
    readers = [Reader((given.host, given.port), request.encode() + b"\r\n") for _ in range(given.streams)]
    first = drain(readers, only_first=given.first, started=started)
    seconds = time.perf_counter() - started
    print(json.dumps({"first": first, "seconds": seconds, "bytes": sum(reader.bytes for reader in readers)}))


if __name__ == "__main__":
    main()
