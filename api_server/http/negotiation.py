"""Content negotiation (RFC 9110, section 12.5): what Accept and Accept-Encoding choose, and the answer's headers."""

import re
from collections.abc import Sequence
from enum import StrEnum
from http import HTTPStatus

from starlette.datastructures import Headers

from api_server.http.problems import Problem
from api_server.http.responses import NO_STORE
from flows_platform.formats.protocol.names import WireFormat

QUALITY = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")
ANY_TYPE = "*/*"
# How precisely a media range names a type: the type itself, its family, or anything.
EXACT, FAMILY, ANYTHING = 2, 1, 0


class ContentCoding(StrEnum):
    """The codings the server can apply, best first."""

    ZSTD = "zstd"
    GZIP = "gzip"
    IDENTITY = "identity"


def content_headers(wire_format: WireFormat, coding: ContentCoding) -> dict[str, str]:
    """The headers of an answer in that format and coding; caches may not keep it for another client."""
    content_type = wire_format.content_type
    if wire_format is WireFormat.CSV:
        content_type += "; charset=utf-8; header=present"
    headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"} | NO_STORE
    return headers if coding is ContentCoding.IDENTITY else headers | {"Content-Encoding": coding}


def header_list(headers: Headers, name: str) -> str | None:
    """A header's value; several lines of it are one list."""
    return ", ".join(headers.getlist(name)) or None


def choose_format(accept: str | None, formats: Sequence[WireFormat]) -> WireFormat:
    """The format with the highest quality; JSON where a client accepts anything.

    Between formats of one quality a named one goes before one that only a wildcard covers, and then the order of
    `WireFormat` counts.

    Raises:
        Problem: the client accepts no format of these.
    """
    ranges = _weighted(accept or ANY_TYPE) or {ANY_TYPE: 1.0}
    rated = {wire_format: _rate(wire_format, ranges) for wire_format in formats}
    best = max(formats, key=rated.__getitem__)
    if rated[best][0] == 0:
        raise Problem(
            HTTPStatus.NOT_ACCEPTABLE,
            "not-acceptable",
            "No format of this stream fits the Accept header.",
            members={"allowed": [wire_format.content_type for wire_format in formats]},
        )
    return best


def prefers(accept: str | None, content_type: str, other: str) -> bool:
    """Whether a client names a content type, and with a higher quality than another one."""
    weights = _weighted(accept or "")
    return weights.get(content_type, 0.0) > weights.get(other, 0.0)


def _rate(wire_format: WireFormat, ranges: dict[str, float]) -> tuple[float, int, bool]:
    """Quality, how precisely it is named, and whether it is the default. The most precise range decides."""
    content_type = wire_format.content_type
    family = content_type.partition("/")[0] + "/*"
    for exactness, name in ((EXACT, content_type), (FAMILY, family), (ANYTHING, ANY_TYPE)):
        if name in ranges:
            is_default = exactness != EXACT and wire_format is WireFormat.JSON
            return ranges[name], exactness, is_default
    return 0.0, ANYTHING, False


def choose_coding(accept_encoding: str | None) -> ContentCoding:
    """The coding with the highest quality; identity where no other fits, even if the client refuses it."""
    weights = _weighted(accept_encoding or "")
    offered = [coding for coding in ContentCoding if coding is not ContentCoding.IDENTITY]
    best = max(offered, key=lambda coding: weights.get(coding, weights.get("*", 0.0)))
    quality = weights.get(best, weights.get("*", 0.0))
    identity = weights.get(ContentCoding.IDENTITY, 0.0)
    return best if quality > 0 and quality >= identity else ContentCoding.IDENTITY


def _weighted(header: str) -> dict[str, float]:
    """Names in lower case with their quality; elements outside the grammar are ignored."""
    weights: dict[str, float] = {}
    for element in header.split(","):
        name, *parameters = (piece.strip().lower() for piece in element.split(";"))
        quality = next((text[2:] for text in parameters if text.startswith("q=")), "1")
        if name and QUALITY.fullmatch(quality):
            weights[name] = float(quality)
    return weights
