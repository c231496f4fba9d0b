"""What an answer that is not the records means: come back later, or change something. Declared; reads no socket."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from lxml import etree

from flows_platform.domain.errors import PlatformError, SourceRefused, SourceUnavailable
from flows_platform.wire.decode.elements import nested_record
from flows_platform.wire.decode.envelope import ErrorDocument

BODY_BYTES = 1 << 16  # of an error's body, at most
DETAIL = 500  # characters of it in a message
MAX_WAIT = 300.0  # seconds; a server may not park us for hours
TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Refusals:
    """How an API refuses.

    `statuses` ask to come back; the wait in seconds is in the first of `wait_headers` that has one, else `pause`.
    `message_header` holds the reason where the body does not; `document` is the form of the API's error documents.
    """

    statuses: frozenset[int] = TRANSIENT_STATUSES
    wait_headers: tuple[str, ...] = ("Retry-After",)
    pause: float | None = None
    longest: float = MAX_WAIT
    message_header: str | None = None
    document: ErrorDocument | None = None

    def error(self, place: str, status: int, headers: Mapping[str, str], body: bytes) -> PlatformError:
        """The error that an answer with another status than 200 is; `place` says whose it is."""
        told = self._told(headers.get("Content-Type", ""), body)
        detail = headers.get(self.message_header or "", "") or _problem(headers, body) or (str(told) if told else "")
        message = f"{place} answered {status}{detail and f': {detail[:DETAIL].rstrip(".")}'}."
        if status in self.statuses or isinstance(told, SourceUnavailable):
            return SourceUnavailable(message, retry_after=self.wait(headers))
        return SourceRefused(message)

    def wait(self, headers: Mapping[str, str]) -> float | None:
        """The seconds that the source asks to wait, capped; a date is left to our own backoff."""
        for name in self.wait_headers:
            value = headers.get(name, "").strip()
            if value.isascii() and value.isdigit() and int(value[:9]):
                return min(float(value[:9]), self.longest)
        return self.pause

    def _told(self, content_type: str, body: bytes) -> PlatformError | None:
        """The error document in the body, if it is one."""
        if self.document is None:
            return None
        try:
            if "json" in content_type.lower():
                value = json.loads(body)
                return self.document.error(None, value) if isinstance(value, dict) else None
            root = etree.fromstring(body, etree.XMLParser(no_network=True, load_dtd=False, resolve_entities=False))
            return self.document.error(str(root.tag), nested_record(root))
        except (ValueError, RecursionError, etree.XMLSyntaxError):
            return None


USUAL = Refusals()


def _problem(headers: Mapping[str, str], body: bytes) -> str:
    """The `detail` of a problem document (RFC 9457), where one came."""
    if "json" not in headers.get("Content-Type", "").lower():
        return ""
    try:
        problem = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return str(problem.get("detail", "")) if isinstance(problem, dict) else ""
