"""Where the next page of an answer is, or why there is none. Always on the same origin, as our credentials go with it.

No page is the last by guess: a range ends by a total that is reached, a flag that says so, a link or cursor that a page
leaves out, an empty page, or, where the author vouches for it, a short one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol
from urllib.parse import parse_qsl, urldefrag, urlencode, urlsplit, urlunsplit

from flows_platform.columns.paths import RecordPath, single
from flows_platform.domain.errors import SourceRefused
from flows_platform.fetch.flags import Flag
from flows_platform.fetch.http.redirects import origin, resolved

LINK = re.compile(r"[\s,]*<([^>]*)>")
# A parameter of a link (RFC 8288), or none behind its semicolon; some write single quotes.
PARAMETER = re.compile(r"""\s*;\s*(?:([^\s=;,"]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([^\s";,]*)))?)?""")


class Ends(StrEnum):
    """Which page is the last, where nothing says so."""

    EMPTY = "empty"
    SHORT = "short"  # one with fewer records than were asked for: servers that cap the size give such pages too


@dataclass(frozen=True, slots=True)
class Page:
    """A page that was read whole: its URL, headers and envelope, its `records` and all of the range's so far (`seen`).

    `last` is the last record's value of the column by which a page continues; None on an empty page. `total` is the
    number of records that the source declares for the range, where it does. `base` is the URL without a range.
    `flagged` says that an earlier page of the range had the flag that says whether there is more.
    """

    url: str
    headers: Mapping[str, str]
    envelope: Mapping[str, object]
    records: int
    seen: int
    last: object = None
    total: int | None = None
    base: str = ""
    flagged: bool = False


@dataclass(frozen=True, slots=True)
class End:
    """There is no other page. `told` says that a total or a flag that was there said so."""

    why: str
    told: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """What ends a range beside a way on that is left out.

    `more` is the source's flag; `size` the number of records asked for. `counted` says that a total ends it: links go
    on as long as there are any, and the total is compared afterwards.
    """

    more: Flag | None = None
    ends: Ends | None = None
    size: int | None = None
    counted: bool = False

    def end(self, page: Page) -> End | None:
        """The end that this page is, whatever way on it shows.

        Raises:
            SourceRefused: a page without records, although the total says that there are more.
        """
        more = self.flag(page.envelope)
        if more is not None:
            return None if more else End(f"{self.more} says that there is no more", told=True)
        if page.flagged:
            return End(f"{self.more}, which earlier pages had, is left out", told=True)
        if self.counted and page.total is not None:
            return self._counted(page, page.total)
        # guard: a short page ends nothing unless the author says so
        if self.ends is Ends.SHORT and page.records < (self.size or 0):
            return End(f"a page of {page.records:,} records, fewer than the {self.size:,} asked for")
        return End("an empty page") if self.ends and not page.records else None

    def _counted(self, page: Page, total: int) -> End | None:
        if page.seen >= total:
            return End(f"total reached: {total:,}", told=True)
        # guard: an empty page does not end a range
        if not page.records:
            raise SourceRefused(f"an empty page at record {page.seen:,}, although there are {total} in all.")
        return None

    def flag(self, envelope: Mapping[str, object]) -> bool | None:
        """What the source's flag says; None where there is none."""
        return self.more.value(envelope) if self.more else None


NEVER = Stop()


class Paging(Protocol):
    """The rule by which an API continues. It looks at the members `reads` around the records, and at `header`."""

    @property
    def stop(self) -> Stop: ...

    @property
    def reads(self) -> tuple[RecordPath, ...]: ...

    @property
    def header(self) -> str: ...

    @property
    def parameters(self) -> dict[str, str]:
        """What the first request says of paging."""

    @property
    def column(self) -> str | None:
        """The column whose last value a page continues from."""

    def onward(self, page: Page) -> str | End:
        """The next page's URL, or that there is no way on."""


def following(paging: Paging, page: Page) -> str | End:
    """The next page's URL, or why this page is the last.

    Raises:
        SourceRefused: the source says that there is more, without a way on; a way on that is none, or leads elsewhere.
    """
    if end := paging.stop.end(page):
        return end
    onward = paging.onward(page)
    # guard: a cut answer brings a link
    if isinstance(onward, End) and paging.stop.flag(page.envelope):
        raise SourceRefused(
            f"{paging.stop.more} says that there is more, but the answer does not say how to go on: {onward.why}.",
            remedy="Check `paging`: where the link or cursor stands, and what the flag says.",
        )
    return onward


@dataclass(frozen=True, slots=True)
class SinglePage:
    """The whole answer comes at once."""

    parameters = {}  # type: dict[str, str]  # noqa: RUF012 - never written
    reads = ()
    header = ""
    column = None
    stop = NEVER

    def onward(self, page: Page) -> End:  # noqa: ARG002 - the protocol's signature
        return End("one page: no paging is declared")


@dataclass(frozen=True, slots=True)
class LinkHeader:
    """`Link: <…>; rel="next"` (RFC 8288)."""

    stop: Stop = NEVER
    parameters = {}  # type: dict[str, str]  # noqa: RUF012 - never written
    reads = ()
    header = "Link"
    column = None

    def onward(self, page: Page) -> str | End:
        link = next_link(page.headers)
        return End("no Link header with rel=next") if link is None else _same_origin(page.url, link)


def next_link(headers: Mapping[str, str]) -> str | None:
    """The link of a `Link` header whose relation is `next`, if there is one.

    Raises:
        SourceRefused: the header names `next` where it is no list of links.
    """
    header, place = headers.get("Link", ""), 0
    while link := LINK.match(header, place):
        relation, place = _relation(header, link.end())
        if "next" in relation.lower().split():
            return link[1]
    # guard: a header that cannot be read ends no range
    if "next" in header[place:].lower():
        raise SourceRefused(
            f"the Link header is no list of links from {header[place:].strip()[:80]!r} on, and names `next` there.",
            remedy='An API writes `<URL>; rel="next"` (RFC 8288); where this header says nothing of more records, '
            "declare `ignore_envelope: [Link]` and another `paging`.",
        )
    return None


def _relation(header: str, place: int) -> tuple[str, int]:
    """The relation that a link's parameters, which begin at `place`, give it, and where they end."""
    relation = ""
    while parameter := PARAMETER.match(header, place):
        name, *values = parameter.groups()
        relation = relation or ("".join(filter(None, values)) if name and name.lower() == "rel" else "")
        place = parameter.end()
    return relation, place


@dataclass(frozen=True, slots=True)
class NextLink:
    """A link in the document."""

    link: RecordPath
    stop: Stop = NEVER
    parameters = {}  # type: dict[str, str]  # noqa: RUF012 - never written
    header = ""
    column = None

    @property
    def reads(self) -> tuple[RecordPath, ...]:
        return (self.link,)

    def onward(self, page: Page) -> str | End:
        """The link's URL.

        Raises:
            SourceRefused: the link is none, or leads to another origin.
        """
        link = single(self.link.find(page.envelope))
        if link in (None, "", False):
            return End(f"no link at {self.link.text}")
        if not isinstance(link, str):
            raise SourceRefused(f"the link to the next page is {str(link)[:80]!r}, not one URL.")
        return _same_origin(page.url, link)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A value in the document, or in the header `header`, that goes into the query's `parameter`.

    Where it goes `alone`, the range and the other parameters are left out.
    """

    parameter: str
    cursor: RecordPath | None = None
    header: str = ""
    alone: bool = False
    stop: Stop = NEVER
    parameters = {}  # type: dict[str, str]  # noqa: RUF012 - never written
    column = None

    @property
    def reads(self) -> tuple[RecordPath, ...]:
        return (self.cursor,) if self.cursor else ()

    def onward(self, page: Page) -> str | End:
        """The page behind the cursor; an array goes with commas.

        Raises:
            SourceRefused: the cursor is an object.
        """
        place = f"at {self.cursor.text}" if self.cursor else f"in the header {self.header}"
        found = self.cursor.find(page.envelope) if self.cursor else [page.headers.get(self.header, "")]
        values = [value for value in found if value is not None and value is not False and value != ""]
        if not values:
            return End(f"no cursor {place}")
        if not all(isinstance(value, str | int | Decimal) and value is not True for value in values):
            raise SourceRefused(f"the cursor {place} is {str(values)[:80]}, neither a text nor a number.")
        url = page.base if self.alone else page.url
        return with_parameters(url, {self.parameter: ",".join(map(str, values))})


@dataclass(frozen=True, slots=True)
class PageNumber:
    """Pages by their number, from `first` on."""

    parameter: str
    first: int = 1
    size_parameter: str | None = None
    size: int | None = None
    stop: Stop = Stop(ends=Ends.EMPTY, counted=True)
    reads = ()
    header = ""
    column = None

    @property
    def parameters(self) -> dict[str, str]:
        return {**_sizes(self.size_parameter, self.size), self.parameter: str(self.first)}

    def onward(self, page: Page) -> str:
        """The page with the number that follows."""
        number = dict(parse_qsl(urlsplit(page.url).query))[self.parameter]
        return with_parameters(page.url, {self.parameter: str(int(number) + 1)})


@dataclass(frozen=True, slots=True)
class Offset:
    """Pages by the number of their first record, counted from `first` on."""

    start: str
    size_parameter: str | None = None
    size: int | None = None
    first: int = 0
    stop: Stop = Stop(ends=Ends.EMPTY, counted=True)
    reads = ()
    header = ""
    column = None

    @property
    def parameters(self) -> dict[str, str]:
        return {**_sizes(self.size_parameter, self.size), self.start: str(self.first)}

    def onward(self, page: Page) -> str:
        """The page that starts after the records seen."""
        return with_parameters(page.url, {self.start: str(self.first + page.seen)})


@dataclass(frozen=True, slots=True)
class ContinueFrom:
    """The next page starts at the last record's `column`, plus `step`."""

    parameter: str
    column: str
    size_parameter: str | None = None
    size: int | None = None
    step: int = 1
    stop: Stop = Stop(ends=Ends.EMPTY, counted=True)
    reads = ()
    header = ""

    @property
    def parameters(self) -> dict[str, str]:
        return _sizes(self.size_parameter, self.size)

    def onward(self, page: Page) -> str | End:
        """The page after the last record.

        Raises:
            SourceRefused: the last record has no value to continue from, or no number where a step is added to it.
        """
        if not page.records:
            return End("an empty page")
        if page.last is None or (self.step and not isinstance(page.last, int)):
            raise SourceRefused(f"the last record's {self.column} is {page.last!r}: the next page cannot start there.")
        last = page.last + self.step if isinstance(page.last, int) else page.last
        return with_parameters(page.url, {self.parameter: str(last)})


def _sizes(parameter: str | None, size: int | None) -> dict[str, str]:
    return {parameter: str(size)} if parameter and size else {}


def with_parameters(url: str, changed: Mapping[str, str]) -> str:
    """The URL with these query parameters set anew."""
    parts = urlsplit(url)
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in changed]
    return urlunsplit(parts._replace(query=urlencode([*kept, *changed.items()])))


def _same_origin(url: str, link: str) -> str:
    # guard: fragments do not tell pages apart
    following: str = urldefrag(resolved(url, link.strip())).url  # fragments would tell equal requests apart
    # guard: next links stay on the origin
    # guard: same origin of pages
    if origin(following) != origin(url):
        raise SourceRefused(f"the next page lies on another origin ({origin(following)[1]}).")
    return following
