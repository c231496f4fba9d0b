"""One HTTP answer as a stream of decompressed bytes. Every way it can go wrong is typed; nothing is retried here.

urllib3 refuses a body shorter than its Content-Length and a chunked one without its end. A clean early end it cannot
see: the counts in `records.py` do.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import urllib3

from flows_platform.domain.errors import PlatformError, SourceRefused, SourceUnavailable, StreamIncomplete
from flows_platform.fetch.decompression import Decompressor, decompressor

CHUNK = 1 << 18
PROBLEM_BYTES = 4096
TRANSIENT_STATUSES = {408, 425, 429, 500, 502, 503, 504}
MAX_RETRY_AFTER = 300.0  # seconds; a server may not park us for hours


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Seconds to connect, and between two reads."""

    connect: float = 10.0
    read: float = 60.0


class HttpClient:
    """A pool of connections, to be closed after use."""

    def __init__(self, limits: HttpLimits | None = None) -> None:
        limits = limits or HttpLimits()
        timeout = urllib3.Timeout(connect=limits.connect, read=limits.read)
        self._pool = urllib3.PoolManager(timeout=timeout, retries=False, maxsize=4)

    def close(self) -> None:
        self._pool.clear()

    @contextmanager
    def stream(self, url: str, headers: Mapping[str, str], *, method: str = "GET") -> Iterator["Answer"]:
        """The answer to one request; its connection is closed on the way out unless the body was read whole.

        Raises:
            SourceUnavailable: no connection, or a status that asks to come back.
            SourceRefused: any other status than 200; redirects too, since credentials would follow them.
        """
        try:
            response = self._pool.request(method, url, headers=dict(headers), preload_content=False, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            raise SourceUnavailable(
                f"{_place(url)} gives no answer ({_brief(error)}).",
                remedy="Is the API server running, and is its address right?",
            ) from error
        try:
            if response.status != 200:  # noqa: PLR2004 - the one good status
                raise _refusal(url, response)
            yield Answer(url, response)
        finally:
            response.close()


class Answer:
    """Headers and the decompressed body; `received` counts the bytes that came over the wire."""

    def __init__(self, url: str, response: urllib3.BaseHTTPResponse) -> None:
        self._response = response
        self._place = _place(url)
        self._decompressor: Decompressor = decompressor(response.headers.get("Content-Encoding", "identity"))
        self.headers = response.headers
        self.received = 0

    @property
    def media_type(self) -> str:
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes; b"" at the end.

        Raises:
            StreamIncomplete: the transfer or its compression stopped before its end.
        """
        limit = size if size > 0 else CHUNK
        while not (piece := self._decompressor.take(limit)):
            chunk = self._receive()
            if not chunk:
                self._decompressor.finish()
                return b""
            self._decompressor.give(chunk)
        return piece

    def _receive(self) -> bytes:
        try:
            chunk = self._response.read1(CHUNK, decode_content=False)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise StreamIncomplete(
                f"{self._place} broke off after {self.received:,} bytes ({_brief(error)})."
            ) from error
        self.received += len(chunk)
        return chunk


def _refusal(url: str, response: urllib3.BaseHTTPResponse) -> PlatformError:
    detail = _problem_detail(response)
    message = f"{_place(url)} answered {response.status}{detail and f': {detail}'}."
    if response.status in TRANSIENT_STATUSES:
        return SourceUnavailable(message, retry_after=_retry_after(response.headers.get("Retry-After", "")))
    if 300 <= response.status < 400:  # noqa: PLR2004 - redirects
        return SourceRefused(message, remedy="Redirects are not followed: give the final URL.")
    return SourceRefused(message)


def _problem_detail(response: urllib3.BaseHTTPResponse) -> str:
    """The `detail` of a problem document, where one came."""
    if "json" not in response.headers.get("Content-Type", ""):
        return ""
    try:
        problem = json.loads(response.read(PROBLEM_BYTES))
    except (ValueError, urllib3.exceptions.HTTPError):
        return ""
    return str(problem.get("detail", ""))[:500].rstrip(".") if isinstance(problem, dict) else ""


def _retry_after(value: str) -> float | None:
    """The wait in seconds, capped; a date is left to our own backoff."""
    return min(float(value), MAX_RETRY_AFTER) if value.isascii() and value.isdigit() else None


def _place(url: str) -> str:
    """A URL without its query, which may hold a key."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def _brief(error: Exception) -> str:
    """The innermost reason in a few words; urllib3's own text repeats the URL with its query."""
    while isinstance(error.__cause__ or error.__context__, Exception):
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return f"{type(error).__name__}: {error}"[:200]
