"""What the vendors' fake servers share: requests as they came, answers, faults, rolling budgets, HTTP on a free port.

No vendor's rules belong here.
"""

import socket
import ssl
import sys
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

LONGEST_FORM = 1 << 16  # what is longer is an object, whose parameters are not read
Clock = Callable[[], float]  # seconds since 1970
OnPage = Callable[[int], None]  # given the page's number, from 1, once that page is fixed and before it is sent


@dataclass
class ManualClock:
    """A clock that a test moves by hand."""

    now: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Asked:
    """One request as it came, and the status it was answered with."""

    number: int  # from 1
    method: str
    path: str
    parameters: dict[str, str]
    headers: dict[str, str]  # names in lower case
    status: int = 0
    target: str = ""  # path and query, as they came
    body: bytes = b""


@dataclass(frozen=True)
class Answer:
    """`body` as bytes goes with a Content-Length; pieces are sent in chunks, as they are made."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] = b""


@dataclass(frozen=True)
class Fault:
    """What happens to one request: another answer instead, or the body cut after so many bytes."""

    answer: Answer | None = None
    cut_after: int | None = None


class RollingBudget:
    """So many calls in any so many seconds; a call that was refused does not count."""

    def __init__(self, limit: int, seconds: float, clock: Clock) -> None:
        self.limit, self.seconds = limit, seconds
        self._clock = clock
        self._taken: deque[float] = deque()

    def take(self) -> float:
        """0 where the call is admitted, else the seconds until the next one is."""
        now = self._clock()
        while self._taken and self._taken[0] <= now - self.seconds:
            self._taken.popleft()
        if len(self._taken) >= self.limit:
            return self._taken[0] + self.seconds - now
        self._taken.append(now)
        return 0.0

    @property
    def remaining(self) -> int:
        return self.limit - len(self._taken)


class BodyCut(ConnectionError):
    """A fault ended this body early."""


class VendorServer(ABC):
    """A real HTTP server on a free port for the length of a `with` block; what a vendor answers is `answer`.

    `requests` holds what was asked; `faults[n]` is what happens to the n-th request; `on_page` may change the data
    between pages; `running` is how many answers are under way.
    """

    def __init__(self, clock: Clock, tls: ssl.SSLContext | None = None) -> None:
        self.clock = clock
        self._scheme = "https" if tls else "http"
        self.requests: list[Asked] = []
        self.faults: dict[int, Fault] = {}
        self.on_page: OnPage | None = None
        self.running = 0
        self.failures: list[BaseException] = []
        self._pages = 0
        self.lock = threading.RLock()
        self._http = _HttpServer(self, tls)

    @abstractmethod
    def answer(self, asked: Asked) -> Answer:
        """The vendor's answer; called by one request at a time."""

    @property
    def origin(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        return self._http.server_port

    def page_fixed(self) -> None:
        """Calls `on_page`: one more page is fixed."""
        self._pages += 1
        if self.on_page is not None:
            self.on_page(self._pages)

    def answering(self, asked: Asked) -> tuple[Answer, int | None]:
        """The answer to this request, and after how many bytes it is cut."""
        with self.lock:
            asked.number = len(self.requests) + 1
            self.requests.append(asked)
            fault = self.faults.get(asked.number, Fault())
            answer = fault.answer or self.answer(asked)
            asked.status = answer.status
            return answer, fault.cut_after

    def under_way(self, change: int) -> None:
        with self.lock:
            self.running += change

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.hang_up()
        self._http.server_close()  # joins the connections' threads
        if self.failures and error is None:
            raise BaseExceptionGroup("the fake server failed", self.failures)


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, vendor: VendorServer, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        if tls:  # the handshake is in the connection's own thread
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.vendor = vendor
        self.connections: set[socket.socket] = set()

    def hang_up(self) -> None:
        """Ends the connections that clients keep alive, so that their threads end."""
        for connection in tuple(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # the client was faster
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base class's
        error = sys.exception()
        if error is not None and not isinstance(error, OSError):  # a client may leave at any time
            self.vendor.failures.append(error)


class _Handler(BaseHTTPRequestHandler):
    server: _HttpServer
    protocol_version = "HTTP/1.1"
    wbufsize = 256 * 1024  # few system calls: records are a few kB each
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def do_GET(self) -> None:
        vendor = self.server.vendor
        vendor.under_way(+1)
        try:
            self._send(*vendor.answering(self._asked()))
        finally:
            vendor.under_way(-1)

    do_POST = do_PUT = do_GET  # noqa: N815 - the names are http.server's

    def _asked(self) -> Asked:
        address = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        form = body[:LONGEST_FORM].decode(errors="replace")
        parameters = dict(parse_qsl(f"{address.query}&{form}", keep_blank_values=True))
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Asked(0, self.command, address.path, parameters, headers, target=self.path, body=body)

    def _send(self, answer: Answer, cut_after: int | None) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if isinstance(answer.body, bytes):
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            for piece in _until(cut_after, [answer.body]):
                self.wfile.write(piece)
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in _until(cut_after, answer.body):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Log nothing: the requests are in `requests`."""


def _until(cut_after: int | None, pieces: Iterable[bytes]) -> Iterator[bytes]:
    left = cut_after
    for piece in filter(None, pieces):  # an empty chunk would end the body
        if left is not None and len(piece) >= left:
            yield from filter(None, [piece[:left]])
            raise BodyCut
        left = None if left is None else left - len(piece)
        yield piece
