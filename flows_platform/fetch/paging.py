"""Where the next page of an answer is, if there is one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urljoin, urlsplit

from flows_platform.domain.errors import SourceRefused
from flows_platform.fetch.redirects import origin

NEXT_LINK = re.compile(r'<([^>]*)>\s*;[^,]*\brel="?next"?')


class Paging(Protocol):
    """The rule by which an API continues."""

    def next_page(self, url: str, headers: Mapping[str, str]) -> str | None: ...


@dataclass(frozen=True, slots=True)
class SinglePage:
    """The whole answer comes at once."""

    def next_page(self, url: str, headers: Mapping[str, str]) -> str | None:  # noqa: ARG002 - the protocol's signature
        return None


@dataclass(frozen=True, slots=True)
class LinkHeader:
    """`Link: <…>; rel="next"` (RFC 8288), followed on the same origin only, since our credentials go with it."""

    def next_page(self, url: str, headers: Mapping[str, str]) -> str | None:
        match = NEXT_LINK.search(headers.get("Link", ""))
        if match is None:
            return None
        following: str = urljoin(url, match[1])
        if origin(following) != origin(url):
            raise SourceRefused(f"the next page lies on another origin ({urlsplit(following).hostname}).")
        return following
