"""Which redirects are followed: a few, on the same origin, since our credentials are sent along."""

from urllib.parse import urljoin

import urllib3
from urllib3.util import parse_url

from flows_platform.domain.errors import SourceRefused
from flows_platform.domain.redaction import bare_url

MAX_REDIRECTS = 3
STATUSES = {301, 302, 303, 307, 308}
SAME_METHOD = {307, 308}  # the others make a GET of a POST, or leave it to the client
PORTS = {"http": 80, "https": 443}


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port (RFC 6454), as the sending client reads them: parsers differ on odd URLs.

    Raises:
        SourceRefused: the URL cannot be read, its port is invalid, or it holds credentials.
    """
    # guard: a link is read as the client reads it
    try:
        parts = parse_url(url)
    except urllib3.exceptions.LocationParseError as error:
        raise SourceRefused("the source names a URL with an invalid port, or one that cannot be read.") from error
    if parts.auth is not None:
        raise SourceRefused("the source names a URL that holds credentials.")
    return parts.scheme or "", parts.host, parts.port or PORTS.get(parts.scheme or "")


def resolved(url: str, link: str) -> str:
    """The URL that a link in an answer from `url` means.

    Raises:
        SourceRefused: the link is not a URL.
    """
    try:
        return urljoin(url, link)
    except ValueError as error:
        raise SourceRefused(f"the source names {link[:80]!r}, which is not a URL.") from error


def require_same_method(method: str, status: int, url: str) -> None:
    """Refuse a redirect that does not say that the same request is sent there.

    Raises:
        SourceRefused: it may turn the method into GET, which has no body.
    """
    # guard: a redirect keeps the body
    if method not in {"GET", "HEAD"} and status not in SAME_METHOD:
        raise SourceRefused(
            f"{bare_url(url)} redirects a {method} with {status}, which drops its body.", remedy="Give the final URL."
        )


def redirect_target(url: str, location: str, followed: int) -> str:
    """Where to ask next.

    Raises:
        SourceRefused: too many redirects, or one to another origin; http is another origin than https.
    """
    # guard: number of redirects
    if followed >= MAX_REDIRECTS:
        raise SourceRefused(f"{bare_url(url)} redirects more than {MAX_REDIRECTS} times.", remedy="Give the final URL.")
    target = resolved(url, location)
    scheme, host, _ = origin(target)
    # guard: same origin of redirects
    if not location or origin(target) != origin(url):
        raise SourceRefused(
            f"{bare_url(url)} redirects to another origin ({scheme}://{host}).",
            remedy="Redirects are followed on the same origin only: give the final URL.",
        )
    return target
