"""Where the next page of an answer is, if there is one. Always on the same origin, since our credentials go with it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qsl, urldefrag, urlencode, urljoin, urlsplit, urlunsplit

from flows_platform.domain.errors import SourceRefused
from flows_platform.fetch.redirects import origin
from flows_platform.fetch.totals import total_count
from flows_platform.wire.paths import RecordPath, single

# A link and its parameters (RFC 8288); a comma inside quotes or brackets does not end it.
LINK = re.compile(r'<([^>]*)>((?:\s*;\s*[^\s=;,"]+(?:\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s";,]*))?)*)')
RELATION = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s";,]*))', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Page:
    """A page that was read whole: its URL, headers and envelope, its `records` and all of the range's so far (`seen`).

    `last` is the last record's value of the column by which a page continues; None on an empty page.
    """

    url: str
    headers: Mapping[str, str]
    envelope: Mapping[str, object]
    records: int
    seen: int
    last: object = None


class Paging(Protocol):
    """The rule by which an API continues. `enveloped` says that it reads what stands around the records."""

    @property
    def enveloped(self) -> bool: ...

    @property
    def parameters(self) -> dict[str, str]:
        """What the first request says of paging."""

    @property
    def column(self) -> str | None:
        """The column whose last value a page continues from."""

    def next_page(self, page: Page) -> str | None: ...


@dataclass(frozen=True, slots=True)
class SinglePage:
    """The whole answer comes at once."""

    parameters = {}  # type: dict[str, str]  # noqa: RUF012 - never written
    column = None
    enveloped = False

    def next_page(self, page: Page) -> str | None:  # noqa: ARG002 - the protocol's signature
        return None


@dataclass(frozen=True, slots=True)
class LinkHeader:
    """`Link: <…>; rel="next"` (RFC 8288)."""

    parameters = {}  # type: dict[str, str]  # noqa: RUF012 - never written
    column = None
    enveloped = False

    def next_page(self, page: Page) -> str | None:
        for link, parameters in LINK.findall(page.headers.get("Link", "")):
            relation = RELATION.search(parameters)
            if relation and "next" in (relation[1] or relation[2] or "").lower().split():
                return _same_origin(page.url, link)
        return None


@dataclass(frozen=True, slots=True)
class NextLink:
    """A link in the document. `truncated` leads to a mark of a cut answer, which must then bring a link.

    Where `code` is given, only that value is the mark.
    """

    link: RecordPath
    truncated: RecordPath | None = None
    code: str | None = None
    parameters = {}  # type: dict[str, str]  # noqa: RUF012 - never written
    column = None
    enveloped = True

    def next_page(self, page: Page) -> str | None:
        """The link's URL.

        Raises:
            SourceRefused: the answer says that it is cut, without a link; or the link is none, or leads elsewhere.
        """
        marks = [str(each) for each in self.truncated.find(page.envelope)] if self.truncated else []
        cut = bool(marks) if self.code is None else self.code in marks
        link = single(self.link.find(page.envelope))
        if self.truncated and not cut:
            return None
        if link in (None, ""):
            if cut:
                raise SourceRefused(f"the answer says that it is cut ({', '.join(marks)}), but not how to go on.")
            return None
        if not isinstance(link, str):
            raise SourceRefused(f"the link to the next page is {str(link)[:80]!r}, not one URL.")
        return _same_origin(page.url, link)


@dataclass(frozen=True, slots=True)
class Offset:
    """Pages of `size` records from `start` on, up to the total; without a `total` a short page is the last."""

    start: str
    size_parameter: str
    size: int
    total: RecordPath | None = None
    column = None

    @property
    def enveloped(self) -> bool:
        return self.total is not None

    @property
    def parameters(self) -> dict[str, str]:
        return {self.size_parameter: str(self.size), self.start: "0"}

    def next_page(self, page: Page) -> str | None:
        """The page that starts after the records seen.

        Raises:
            SourceRefused: a page without records, although the total says that there are more; a total that is none.
        """
        total = single(self.total.find(page.envelope)) if self.total else None
        if total is None:
            return self._from(page) if page.records >= self.size else None
        if page.seen >= total_count(total):
            return None
        if not page.records:
            raise SourceRefused(f"an empty page at record {page.seen:,}, although there are {total} in all.")
        return self._from(page)

    def _from(self, page: Page) -> str:
        return with_parameters(page.url, {self.start: str(page.seen)})


@dataclass(frozen=True, slots=True)
class ContinueFrom:
    """The next page starts at the last record's `column`, plus `step`; a page shorter than `size` is the last."""

    parameter: str
    column: str
    size_parameter: str
    size: int
    step: int = 1
    enveloped = False

    @property
    def parameters(self) -> dict[str, str]:
        return {self.size_parameter: str(self.size)}

    def next_page(self, page: Page) -> str | None:
        """The page after the last record.

        Raises:
            SourceRefused: the last record has no number to continue from.
        """
        if page.records < self.size:
            return None
        if self.step and not isinstance(page.last, int):
            raise SourceRefused(f"the last record's {self.column} is {page.last!r}: the next page cannot start there.")
        following = page.last + self.step if isinstance(page.last, int) else page.last
        return with_parameters(page.url, {self.parameter: str(following)})


def with_parameters(url: str, changed: Mapping[str, str]) -> str:
    """The URL with these query parameters set anew."""
    parts = urlsplit(url)
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in changed]
    return urlunsplit(parts._replace(query=urlencode([*kept, *changed.items()])))


def _same_origin(url: str, link: str) -> str:
    following: str = urldefrag(urljoin(url, link.strip())).url  # fragments would tell equal requests apart
    if origin(following) != origin(url):
        raise SourceRefused(f"the next page lies on another origin ({urlsplit(following).hostname}).")
    return following
