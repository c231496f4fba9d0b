"""Which redirects are followed: a few, on the same origin, since our credentials go with them."""

from urllib.parse import urljoin, urlsplit

from flows_platform.domain.errors import SourceRefused
from flows_platform.domain.redaction import place

MAX_REDIRECTS = 3
STATUSES = {301, 302, 303, 307, 308}
PORTS = {"http": 80, "https": 443}


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port (RFC 6454).

    Raises:
        SourceRefused: the URL names no valid port.
    """
    parts = urlsplit(url)
    try:
        return parts.scheme, parts.hostname, parts.port or PORTS.get(parts.scheme)
    except ValueError as error:
        raise SourceRefused("the source names a URL with an invalid port.") from error


def redirect_target(url: str, location: str, followed: int) -> str:
    """Where to ask next.

    Raises:
        SourceRefused: too many redirects, or to another origin; from https to http is another one too.
    """
    if followed >= MAX_REDIRECTS:
        raise SourceRefused(f"{place(url)} redirects more than {MAX_REDIRECTS} times.", remedy="Give the final URL.")
    target = urljoin(url, location)
    if not location or origin(target) != origin(url):
        raise SourceRefused(
            f"{place(url)} redirects to another origin ({place(target)}).",
            remedy="Redirects are followed on the same origin only: give the final URL.",
        )
    return target
