"""One HTTP answer as a stream of decompressed bytes. Every failure has a type; nothing is retried here.

urllib3 refuses a body that is shorter than its Content-Length, and chunks without an end. It cannot detect an early end
of a body with neither: the counts in `proof.py` do.
"""

import http.client
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress

import urllib3

from flows_platform.domain.errors import SourceUnavailable, StreamIncomplete
from flows_platform.domain.redaction import bare_url
from flows_platform.fetch.http.connections import Pools, keep_queries_out_of_logs
from flows_platform.fetch.http.decompression import CHUNK, Decompressed, Decompressor, Gzip, Identity, decompressor
from flows_platform.fetch.http.failures import PROXY_AUTHENTICATION, brief, failure, unauthenticated
from flows_platform.fetch.http.pace import Clock, HttpLimits, Pace, Watch
from flows_platform.fetch.http.proxies import Proxies
from flows_platform.fetch.http.rate_limit import RateGate
from flows_platform.fetch.http.redirects import STATUSES, redirect_target, require_same_method
from flows_platform.fetch.http.refusals import BODY_BYTES, USUAL, Refusals
from flows_platform.fetch.http.request import Request

__all__ = ["Answer", "HttpClient", "HttpLimits"]


type Seen = Callable[[str, int], None]  # called with the URL and the status of an answer


def unseen(_url: str, _status: int) -> None:
    """Ignores the answer's URL and status."""


class HttpClient:
    """A pool of connections; close it after use. `clock` counts seconds; only its differences matter.

    `gate` keeps the API's budget of requests. `tls` says whom to trust and how the client identifies itself; without
    it, the system's CAs are trusted. `proxies` says which requests go through a proxy; without it, every request is
    direct.
    """

    def __init__(
        self,
        limits: HttpLimits | None = None,
        clock: Clock = time.monotonic,
        gate: RateGate | None = None,
        tls: ssl.SSLContext | None = None,
        proxies: Proxies | None = None,
    ) -> None:
        self.limits = limits or HttpLimits()
        self._gate = gate
        self._clock = clock
        self._proxies = proxies or Proxies()
        self._pools = Pools(connect=self.limits.connect, read=self.limits.read, tls=tls)
        keep_queries_out_of_logs()

    def close(self) -> None:
        self._pools.close()

    def deadline(self) -> float:
        """When a window that starts now must be done, on this client's clock."""
        return self._clock() + self.limits.total

    def left(self, deadline: float) -> float:
        """Seconds until the deadline."""
        return max(0.0, deadline - self._clock())

    @contextmanager
    def stream(
        self,
        request: Request,
        *,
        deadline: float | None = None,
        refusals: Refusals = USUAL,
        seen: Seen = unseen,
    ) -> Iterator["Answer"]:
        """The answer to one request. Leaving the block closes the connection unless the body was read to its end.

        `seen` is called with the URL and the status of the answer at the end of redirects.

        Raises:
            SourceUnavailable: no connection, a status that asks to come back, or the deadline (by default a new one).
            NoRecords: an error document whose code means that there are no records.
            SourceRefused: any other status than 200 and those that mean no records, or a redirect to another origin.
        """
        url = request.target
        pace = Pace(self.limits, self._clock, self.deadline() if deadline is None else deadline)
        if fault := pace.fault():
            raise SourceUnavailable(f"{bare_url(url)} {fault}.")
        with self._gate.slot() if self._gate else nullcontext():
            response = self._final(request, url)
            seen(url, response.status)
            try:
                if not refusals.is_good(response.status):
                    raise refusals.error(
                        self._shown(url), response.status, response.headers, _error_body(response, pace)
                    )
                with Watch(pace, lambda: _abort(response)) as watch:
                    yield Answer(url, response, watch)
            finally:
                response.close()

    def _final(self, request: Request, url: str) -> urllib3.BaseHTTPResponse:
        """The answer at the end of redirects."""
        followed = 0
        while True:
            # guard: redirects count
            if self._gate:
                self._gate.take_turn()
            response = self._send(request, url)
            if response.status not in STATUSES:
                return response
            response.close()
            require_same_method(request.method, response.status, url)
            url = redirect_target(url, response.headers.get("Location", ""), followed)
            followed += 1

    def _send(self, request: Request, url: str) -> urllib3.BaseHTTPResponse:
        proxy = self._proxies.proxy_for(url)
        try:
            response = self._pools.through(proxy).request(
                request.method,
                url,
                body=request.body,
                headers=request.sent_headers,
                preload_content=False,
                redirect=False,
            )
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            raise failure(bare_url(url), error, proxy) from error
        if proxy and response.status == PROXY_AUTHENTICATION:
            response.close()
            raise unauthenticated(proxy)
        return response

    def _shown(self, url: str) -> str:
        """The URL without its query, with the proxy that may have answered instead."""
        proxy = self._proxies.proxy_for(url)
        return f"{bare_url(url)} (through the proxy {proxy.url})" if proxy else bare_url(url)


class Answer:
    """Headers and the decompressed body; `received` counts the bytes that came over the wire."""

    def __init__(self, url: str, response: urllib3.BaseHTTPResponse, watch: Watch) -> None:
        self._response = response
        self._watch = watch
        self._url = bare_url(url)
        self._decompressor: Decompressor = decompressor(response.headers.get("Content-Encoding", "identity"))
        self._body = Decompressed(self._receive, self._decompressor)
        self.status = response.status
        self.headers = response.headers
        self.received = 0

    @property
    def is_framed(self) -> bool:
        """Whether an early end of the transfer would be detected: by a length, or by chunks."""
        return "Content-Length" in self.headers or "chunked" in self.headers.get("Transfer-Encoding", "").lower()

    @property
    def was_gzip(self) -> bool:
        """Whether the body came in the content coding of gzip."""
        return isinstance(self._decompressor, Gzip)

    @property
    def proves_its_end(self) -> bool:
        """Whether an early end would be detected: by the transfer, or by the end mark of a compression."""
        return self.is_framed or not isinstance(self._decompressor, Identity)

    @property
    def media_type(self) -> str:
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def unchecked(self) -> bool:
        """Whether compressed data came without a checksum; final after the body was read."""
        return self._decompressor.unchecked

    def is_empty(self) -> bool:
        """Whether the body has no bytes. Reads the first piece, which `read` returns later.

        Raises:
            PlatformError: as `read`.
        """
        return self._body.is_empty()

    def read(self, size: int = -1, /) -> bytes:
        """`size` bytes, fewer before the end; b"" at the end.

        Raises:
            StreamIncomplete: the transfer or its compression stopped before its end.
            SourceUnavailable: it is too slow.
            SourceRefused: it expands more than real data does.
        """
        return self._body.read(size)

    def beginning(self, size: int) -> bytes:
        """The body, or its first `size` bytes, for answers that are read at once.

        Raises:
            PlatformError: as `read`, also if some bytes came before.
        """
        return self._body.beginning(size)

    def _receive(self) -> bytes:
        pace, chunk = self._watch.pace, b""
        pace.begin()
        try:
            chunk = self._response.read1(CHUNK, decode_content=False)
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            self._require_pace()
            raise StreamIncomplete(f"{self._url} broke off after {self.received:,} bytes ({brief(error)}).") from error
        finally:
            pace.end(len(chunk))
        self.received += len(chunk)
        self._require_pace()
        return chunk

    def _require_pace(self) -> None:
        """Check the pace, also after a read without an error: an aborted read may look like the end of the body."""
        if fault := self._watch.fault or self._watch.pace.fault():
            raise SourceUnavailable(f"{self._url} {fault}; {self.received:,} bytes had come.")


def _abort(response: urllib3.BaseHTTPResponse) -> None:
    with suppress(OSError, RuntimeError, ValueError):  # read to its end meanwhile
        response.shutdown()


def _error_body(response: urllib3.BaseHTTPResponse, pace: Pace) -> bytes:
    """The body of an error, as far as it comes in time; a compressed one is not read."""
    body = b""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        return body
    with (
        suppress(urllib3.exceptions.HTTPError, http.client.HTTPException, OSError),
        Watch(pace, lambda: _abort(response)),
    ):
        while len(body) < BODY_BYTES and not pace.fault():
            pace.begin()
            chunk = response.read1(BODY_BYTES - len(body), decode_content=False)
            pace.end(len(chunk))
            if not chunk:
                break
            body += chunk
    return body
