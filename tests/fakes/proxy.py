"""A proxy on a free port. Every name it is asked for is a server of this machine: tests resolve no names."""

import select
import socket
import ssl
import threading
import time
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


class LittleProxy:
    """Sends what it is asked for to the port `upstream`.

    `answer` is sent instead of an own answer, and `slowly` one byte after another. `requests` are the request lines
    that came, `credentials` what came for the proxy, `forwarded` the headers that were sent on.
    """

    def __init__(
        self, upstream: int = 0, *, answer: bytes = b"", slowly: bytes = b"", tls: ssl.SSLContext | None = None
    ) -> None:
        self.upstream, self.answer, self.slowly = upstream, answer, slowly
        self.requests: list[str] = []
        self.credentials: list[str | None] = []
        self.forwarded: list[dict[str, str]] = []
        self._http = _HttpServer(self, tls)
        self._scheme = "https" if tls else "http"

    def url(self, credentials: str = "") -> str:
        return f"{self._scheme}://{credentials}{'@' if credentials else ''}127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, proxy: LittleProxy, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.proxy = proxy
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client may leave at any time."""


class _Handler(BaseHTTPRequestHandler):
    server: _HttpServer

    def do_CONNECT(self) -> None:
        if self._answered():
            return
        with socket.create_connection(("127.0.0.1", self.server.proxy.upstream)) as upstream:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            _relay(self.connection, upstream)

    def do_GET(self) -> None:
        if self._answered():
            return
        headers = {name: value for name, value in self.headers.items() if name != "Proxy-Authorization"}
        self.server.proxy.forwarded.append({name.lower(): value for name, value in headers.items()})
        connection = HTTPConnection("127.0.0.1", self.server.proxy.upstream)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        connection.request(self.command, "/" + self.path.split("/", 3)[3], body or None, headers)
        answer = connection.getresponse()
        sent = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name not in {"Transfer-Encoding", "Content-Length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)
        connection.close()

    do_POST = do_GET  # noqa: N815 - the name is http.server's

    def _answered(self) -> bool:
        """Whether another answer was sent."""
        proxy = self.server.proxy
        proxy.requests.append(f"{self.command} {self.path}")
        proxy.credentials.append(self.headers.get("Proxy-Authorization"))
        self.wfile.write(proxy.answer)
        for byte in proxy.slowly:
            self.wfile.write(bytes([byte]))
            time.sleep(0.1)
        return bool(proxy.answer or proxy.slowly)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Log nothing."""


def _relay(client: socket.socket, upstream: socket.socket) -> None:
    """Bytes both ways until one end closes."""
    other = {client: upstream, upstream: client}
    while True:
        pending = isinstance(client, ssl.SSLSocket) and client.pending()
        for ready in [client] if pending else select.select(list(other), [], [])[0]:
            data = ready.recv(1 << 16)
            if not data:
                return
            other[ready].sendall(data)
