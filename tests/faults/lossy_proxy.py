"""A TCP proxy that loses answers: the server did what it was asked, and the client never hears."""

import socket
import threading
from contextlib import suppress


class LossyProxy:
    """Forwards connections to `port`; the answer to the `lost`-th request, counted from 1, is cut off."""

    def __init__(self, port: int, lost: int) -> None:
        self._target = port
        self._lost = lost
        self._requests = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self._target)) as server:
            sending = threading.Thread(target=self._forward_requests, args=(client, server), daemon=True)
            sending.start()
            while chunk := server.recv(1 << 16):
                if self._is_lost():
                    client.shutdown(socket.SHUT_RDWR)  # a close alone waits for the thread that reads from it
                    return
                client.sendall(chunk)

    def _forward_requests(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while chunk := client.recv(1 << 16):
                if chunk.split(b" ", 1)[0] in {b"GET", b"POST", b"PUT", b"DELETE", b"PATCH"}:
                    with self._lock:
                        self._requests += 1
                server.sendall(chunk)
            server.shutdown(socket.SHUT_WR)

    def _is_lost(self) -> bool:
        with self._lock:
            if self._requests == self._lost:
                self._lost = -1
                return True
            return False
