"""Sends the client's requests: exchanges its token, waits as the server asks, and turns answers into errors."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from flows_platform.access.exchange import ACCESS_TOKEN, GRANT, PATH
from flows_platform.domain.errors import (
    ConfigurationError,
    PlatformError,
    SourceRefused,
    SourceUnavailable,
    StreamIncomplete,
)
from flows_platform.domain.progress import Progress

if TYPE_CHECKING:
    import requests

CONNECT, READ = 10.0, 660.0  # seconds; a report may take ten minutes
CHUNK = 1 << 16
BETWEEN_REPORTS = 0.2  # seconds between two reports of progress
GOOD = {200, 304}
UNAUTHORIZED = 401
WRONG = {400, 401, 403, 404, 405, 406, 413, 414, 415}  # the caller can correct these; others are the server's
BUSY = {429, 503, 504}
NO_DATA = "/#no-data"  # the problem of tables without data, which waiting would not fill
TOO_SLOW = "/#too-slow"  # the problem of a query that would take as long again
DETAIL = 500  # characters of the server's text in a message


@dataclass(frozen=True, slots=True)
class Sent:
    """A request: its method, its path with query, and a JSON body, which is empty for GET."""

    method: str
    target: str
    body: bytes = b""

    @classmethod
    def json(cls, target: str, document: Mapping[str, object]) -> Self:
        """A POST request with this document as its body."""
        return cls("POST", target, json.dumps(document, sort_keys=True).encode())


class Answer:
    """An answer. Its body can be read once; closing the answer frees the connection."""

    def __init__(self, url: str, response: "requests.Response", progress: Progress) -> None:
        self._response, self._progress = response, progress
        self.url = url
        self.status, self.headers = response.status_code, response.headers

    def pieces(self) -> Iterator[bytes]:
        """The decompressed body, piece by piece.

        Raises:
            StreamIncomplete: the body ended early, or an early end could not be noticed.
        """
        import requests  # noqa: PLC0415 - as in `Sender`

        length = self.headers.get("Content-Length")
        # guard: an early end of an answer is seen
        if length is None and self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            raise StreamIncomplete(f"{self.url} does not say how long its answer is.")
        total = int(length) if length else None
        reported = time.monotonic()
        try:
            for piece in self._response.iter_content(CHUNK):
                if time.monotonic() - reported > BETWEEN_REPORTS:
                    reported = time.monotonic()
                    self._progress(self._response.raw.tell(), total)
                yield piece
            self._progress(self._response.raw.tell(), total)
        except requests.RequestException as error:
            raise StreamIncomplete(f"{self.url} broke off its answer ({type(error).__name__}).") from error

    def body(self) -> bytes:
        """The whole body."""
        return b"".join(self.pieces())

    def json(self) -> dict[str, Any]:
        """The body as a JSON object.

        Raises:
            SourceRefused: the body is not a JSON object.
        """
        try:
            found = json.loads(self.body())
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise SourceRefused(f"{self.url} did not answer with a JSON object.", remedy="Check the URL.")
        return found

    def close(self) -> None:
        self._response.close()


class Sender:
    """Connections to one server."""

    def __init__(
        self, url: str, token: str | None, progress: Progress, patience: float, sleep: Callable[[float], None]
    ) -> None:
        import requests  # noqa: PLC0415 - takes a tenth of a second

        self._base, host = _base(url, secret=bool(token))
        # guard: a proxy is not asked for this machine
        self._proxies = {"no_proxy": host} if _is_loopback(host) else None
        self._token, self._short = (token or "").strip(), ""
        self._progress, self._patience, self._sleep = progress, patience, sleep
        self._session = requests.Session()
        # guard: a .netrc file does not replace the token
        self._session.auth = lambda request: request

    def close(self) -> None:
        self._session.close()

    def send(self, sent: Sent, headers: Mapping[str, str]) -> Answer:
        """Send a request, and repeat it as long as the server is busy and the patience lasts.

        Raises:
            ConfigurationError: the request or the token is refused.
            SourceRefused: the server cannot answer this request.
            SourceUnavailable: the server does not answer, or is busy for too long.
        """
        until = time.monotonic() + self._patience
        while True:
            try:
                return self._good(sent, headers)
            except SourceUnavailable as error:
                # guard: waits of a client have a bound
                if error.retry_after is None or time.monotonic() + error.retry_after > until:
                    raise
                wait = error.retry_after
            self._sleep(wait)

    def _good(self, sent: Sent, headers: Mapping[str, str]) -> Answer:
        answer = self._with_token(sent, headers)
        if answer.status in GOOD:
            return answer
        with closing(answer):
            raise _error(answer)

    def _with_token(self, sent: Sent, headers: Mapping[str, str]) -> Answer:
        """Send a request with the short token; if the server refuses it, exchange the token and send it again."""
        answer = self._once(sent, headers)
        if answer.status != UNAUTHORIZED or not self._token:
            return answer
        answer.close()
        self._short = ""
        self._short = self._exchanged()
        return self._once(sent, headers)

    def _exchanged(self) -> str:
        form = {"grant_type": GRANT, "subject_token": self._token, "subject_token_type": ACCESS_TOKEN}
        answer = self._request("POST", PATH, data=form)
        try:
            if answer.status not in GOOD:
                raise _error(answer)
            return str(answer.json().get("access_token", ""))
        finally:
            answer.close()

    def _once(self, sent: Sent, headers: Mapping[str, str]) -> Answer:
        credentials = {"Authorization": f"Bearer {self._short}"} if self._short else {}
        kind = {"Content-Type": "application/json"} if sent.body else {}
        return self._request(
            sent.method, sent.target, data=sent.body or None, headers={**headers, **credentials, **kind}
        )

    def _request(self, method: str, target: str, **options: Any) -> Answer:
        import requests  # noqa: PLC0415 - as above

        url = f"{self._base}{target.partition('?')[0]}"
        try:
            # guard: a redirect takes no token along
            response = self._session.request(
                method,
                f"{self._base}{target}",
                timeout=(CONNECT, READ),
                stream=True,
                allow_redirects=False,
                proxies=self._proxies,
                **options,
            )
        except (requests.RequestException, OSError) as error:
            raise SourceUnavailable(
                f"{url} does not answer ({_reason(error)}).", remedy="Check the URL, and that the server runs."
            ) from error
        return Answer(url, response, self._progress)


def _base(url: str, *, secret: bool) -> tuple[str, str]:
    """The URL without a trailing slash, and its host.

    Raises:
        ConfigurationError: it is not an HTTP URL, has a user, or would send the token unencrypted to another machine.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query or parts.fragment:
        shown = "the URL" if "@" in url else repr(url)
        raise ConfigurationError(f"{shown} is not the URL of a server.", remedy="Write https://flows.example.com.")
    # guard: a token travels encrypted
    if secret and parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ConfigurationError(
            f"{url} would send the token unencrypted.", remedy="Use https, or a server on this machine."
        )
    return url.rstrip("/"), parts.hostname


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _error(answer: Answer) -> PlatformError:
    """The error that an answer means, in the server's own words."""
    document = _document(answer)
    detail = str(document.get("detail") or document.get("error_description") or "").rstrip(".")[:DETAIL]
    message = f"{answer.url} answered {answer.status}{detail and f': {detail}'}."
    allowed = document.get("allowed")
    words = ", ".join(map(str, allowed)) if isinstance(allowed, list) else allowed
    # guard: a query that is too slow is not repeated
    if answer.status in BUSY and document.get("type") != TOO_SLOW:
        wait = None if document.get("type") == NO_DATA else _wait(answer)
        return SourceUnavailable(message, remedy="Try again later.", retry_after=wait)
    if answer.status in WRONG:
        of_token = answer.status == UNAUTHORIZED or "error_description" in document
        remedy = "Give a token that `flows token create` made for this server." if of_token else ""
        return ConfigurationError(message, remedy=f"Allowed: {words}." if words else remedy)
    return SourceRefused(message)


def _document(answer: Answer) -> dict[str, Any]:
    if "json" not in answer.headers.get("Content-Type", ""):
        return {}
    try:
        return answer.json()
    except PlatformError:
        return {}


def _wait(answer: Answer) -> float | None:
    """The wait that the server asks for, in seconds; None if it does not say."""
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else None


def _reason(error: Exception) -> str:
    """The innermost cause, without the URL, which may contain values."""
    cause: BaseException = error
    while (inner := getattr(cause, "reason", None) or cause.__cause__ or cause.__context__) and isinstance(
        inner, BaseException
    ):
        cause = inner
    return getattr(cause, "strerror", None) or type(cause).__name__
