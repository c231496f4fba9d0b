"""Where the next page of an answer is, or why there is none: one class per kind of paging.

A new kind is a class here and a name in `AnyPaging`. The end of a range is never guessed. A range ends when its total
is reached, a flag says so, a page has no link or cursor, or a page is empty; a short page ends it only where the author
vouches for that. The next page is always on the same origin, since the request carries our credentials.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import urldefrag

from pydantic import Field, model_validator

from flows_platform.columns.paths import RecordPath, single
from flows_platform.declared import Code, Declared, refused
from flows_platform.domain.decimals import plain
from flows_platform.domain.errors import SourceRefused
from flows_platform.fetch.flags import Flag
from flows_platform.fetch.http.redirects import origin, resolved
from flows_platform.fetch.http.request import Request

LINK = re.compile(r"[\s,]*<([^>]*)>")
# A parameter of a link (RFC 8288), or nothing after its semicolon; some servers write single quotes.
PARAMETER = re.compile(r"""\s*;\s*(?:([^\s=;,"]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([^\s";,]*)))?)?""")


class Ends(StrEnum):
    """Which page is the last, where nothing says so."""

    EMPTY = "empty"
    SHORT = "short"  # one with fewer records than were asked for: servers that cap the size give such pages too


@dataclass(frozen=True, slots=True)
class Page:
    """A page that was read to its end: its request, headers, envelope, and number of `records`.

    `seen` counts the range's records so far. `base` is the request with only the URL's own parameters
    and secrets. `last` is the last record's value
    in the column that the next page continues from; None on an empty page. `total` is the number of records that the
    source declares for the range, if any. `flagged`: an earlier page of the range had the flag for further pages.
    """

    request: Request
    headers: Mapping[str, str]
    envelope: Mapping[str, object]
    records: int
    seen: int
    base: Request
    last: object = None
    total: int | None = None
    flagged: bool = False


@dataclass(frozen=True, slots=True)
class End:
    """There is no further page. `stated`: a total or a flag said so."""

    why: str
    stated: bool = False


class Paging(Declared, ABC):
    """How an answer continues, and what says that it ends."""

    counted: ClassVar[bool] = False  # True: a total ends the range. Links go on, and the total is compared at the end.

    more: RecordPath | None = Field(None, description="Path of a flag that says whether there is more.")

    @property
    def flag(self) -> Flag | None:
        """The source's flag that says whether there is more."""
        return Flag(self.more) if self.more else None

    @property
    def reads(self) -> tuple[RecordPath, ...]:
        """Paths around the records that lead to the next page."""
        return ()

    @property
    def header(self) -> str:
        """The header that leads to the next page."""
        return ""

    @property
    def parameters(self) -> dict[str, str]:
        """Parameters of the first page's request."""
        return {}

    @property
    def continues_from(self) -> str | None:
        """The column whose last value the next page continues from."""
        return None

    def says_more(self, envelope: Mapping[str, object]) -> bool | None:
        """What the flag says; None if it is not there."""
        return self.flag.value(envelope) if self.flag else None

    def promises(self, envelope: Mapping[str, object]) -> bool:
        """Whether a page that leads to another says that this has records."""
        return self.says_more(envelope) is True

    def next(self, page: Page) -> Request | End:
        """The next page's request, or why this page is the last.

        Raises:
            SourceRefused: the source says that there is more, but not where; or its link or cursor is malformed, leads
                to another origin, or contradicts the total.
        """
        if end := self._end(page):
            return end
        onward = self._onward(page)
        # guard: a cut answer brings a link
        if isinstance(onward, End) and self.says_more(page.envelope):
            raise SourceRefused(
                f"{self.flag} says that there is more, but the answer does not say how to go on: {onward.why}.",
                remedy="Check `paging`: the path of the link or cursor, and what the flag says.",
            )
        return onward

    def _end(self, page: Page) -> End | None:
        """Why the range ends with this page, even if the page leads on; None if it does not end here."""
        more = self.says_more(page.envelope)
        if more is not None:
            return None if more else End(f"{self.flag} says that there is no more", stated=True)
        if page.flagged:
            return End(f"{self.flag}, which earlier pages had, is left out", stated=True)
        return self._last(page)

    def _last(self, page: Page) -> End | None:  # noqa: ARG002 - other kinds look at it
        """Why the range ends, judged by the page's records, where no flag decides."""
        return None

    @abstractmethod
    def _onward(self, page: Page) -> Request | End:
        """The next page's request, or why nothing leads on."""


class SinglePage(Paging):
    """The whole answer comes at once."""

    def _onward(self, page: Page) -> End:  # noqa: ARG002 - as the other kinds
        return End("one page: no paging is declared")


class Linked(Paging, ABC):
    """Paging whose pages say how to go on."""

    ends: Literal["empty"] | None = Field(
        None, description="empty: a page without records is the last, even if it leads on."
    )

    def promises(self, envelope: Mapping[str, object]) -> bool:
        return self.ends is None or super().promises(envelope)

    def _last(self, page: Page) -> End | None:
        return End("an empty page") if self.ends and not page.records else None


class Sized(Paging, ABC):
    """Paging whose pages do not say how to go on."""

    counted: ClassVar[bool] = True

    size_parameter: str | None = Field(None, description="Parameter with the page's size.")
    size: int | None = Field(None, ge=1, description="Records per page; a server may send fewer.")
    ends: Ends = Field(
        Ends.EMPTY,
        description="Which page is the last where no total or flag says so; short: one with fewer records than `size`.",
    )

    @model_validator(mode="after")
    def _has_size(self) -> Self:
        if self.size is None and self.size_parameter:
            raise refused("`size` is missing: the parameter sends it", ("size_parameter",))
        if self.size is None and self.ends is Ends.SHORT:
            raise refused("`size` is missing: a page with fewer records than that is short", ("ends",))
        return self

    @property
    def parameters(self) -> dict[str, str]:
        return {self.size_parameter: str(self.size)} if self.size_parameter else {}

    def _last(self, page: Page) -> End | None:
        if page.total is not None:
            return self._counted(page, page.total)
        # guard: a short page ends nothing unless the author says so
        if self.ends is Ends.SHORT and page.records < (self.size or 0):
            return End(f"a page of {page.records:,} records, fewer than the {self.size:,} asked for")
        return None if page.records else End("an empty page")

    def _counted(self, page: Page, total: int) -> End | None:
        if page.seen >= total:
            return End(f"total reached: {total:,}", stated=True)
        # guard: an empty page does not end a range
        if not page.records:
            raise SourceRefused(f"an empty page at record {page.seen:,}, although there are {total} in all.")
        return None


class NextLink(Linked):
    """A link to the next page in the document."""

    kind: Literal["next_link"] = "next_link"
    link: RecordPath = Field(description="Path of the link in the document.")
    truncated: RecordPath | None = Field(None, description="Path of a mark that says that the answer is cut.")
    code: Code | None = Field(None, description="The mark's value that says so; without it, any value does.")

    @model_validator(mode="after")
    def _has_one_flag(self) -> Self:
        if self.truncated and self.more:
            raise refused("`truncated` says the same: one of the two", ("more",))
        return self

    @property
    def flag(self) -> Flag | None:
        return Flag(self.truncated, self.code) if self.truncated else super().flag

    @property
    def reads(self) -> tuple[RecordPath, ...]:
        return (self.link,)

    def _onward(self, page: Page) -> Request | End:
        link = single(self.link.find(page.envelope))
        if link in (None, "", False):
            return End(f"no link at {self.link.text}")
        if not isinstance(link, str):
            raise SourceRefused(f"the link to the next page is {str(link)[:80]!r}, not one URL.")
        return _linked(page.request, link)


class LinkHeader(Linked):
    """`Link: <…>; rel="next"` (RFC 8288)."""

    kind: Literal["link_header"] = "link_header"

    @property
    def header(self) -> str:
        return "Link"

    def _onward(self, page: Page) -> Request | End:
        link = next_link(page.headers)
        return End("no Link header with rel=next") if link is None else _linked(page.request, link)


class NamedHeader(Declared):
    """A header of the answer."""

    header: str = Field(description="Its name.")


class Into(Declared):
    """Where the next request sends the cursor."""

    query: str | None = Field(None, description="Query parameter; an array is joined by commas.")
    body: RecordPath | None = Field(
        None, description="Path of a member of the body; an array stays one, also of one element where `[]` keeps it."
    )

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.query is None) == (self.body is None):
            raise refused("one of `query` and `body` is needed")
        if self.body and any(step.chooses for step in self.body.steps):
            raise refused("it is written as names with points between them", ("body",))
        return self


class Cursor(Linked):
    """A value that the next request sends back."""

    kind: Literal["cursor"] = "cursor"
    cursor: RecordPath | NamedHeader = Field(
        description="Path of the cursor in the document, or the header that holds it."
    )
    into: Into = Field(description="Where the next request sends it.")
    alone: bool = Field(
        False, description="Whether a request with a cursor has only the URL's own parameters and secrets beside it."
    )

    @property
    def reads(self) -> tuple[RecordPath, ...]:
        return (self.cursor,) if isinstance(self.cursor, RecordPath) else ()

    @property
    def header(self) -> str:
        return self.cursor.header if isinstance(self.cursor, NamedHeader) else ""

    def _onward(self, page: Page) -> Request | End:
        found, where = self._found(page)
        values = [value for value in found if value is not None and value is not False and value != ""]
        if not values:
            return End(f"no cursor {where}")
        if not all(isinstance(value, str | int | Decimal) and value is not True for value in values):
            raise SourceRefused(f"the cursor {where} is {str(values)[:80]}, neither a text nor a number.")
        request = page.base if self.alone else page.request
        if self.into.query is not None:
            return request.with_parameters({self.into.query: ",".join(map(str, values))})
        names = [step.name for step in self.into.body.steps] if self.into.body else []
        keeps = len(values) > 1 or (isinstance(self.cursor, RecordPath) and self.cursor.steps[-1].all)
        plain = [_number(value) if isinstance(value, Decimal) else value for value in values]
        return request.with_body_value(names, plain if keeps else plain[0])

    def _found(self, page: Page) -> tuple[list[object], str]:
        """The cursor's values on the page, and in words where they were looked for."""
        if isinstance(self.cursor, NamedHeader):
            return [page.headers.get(self.header, "")], f"in the header {self.header}"
        return self.cursor.find(page.envelope), f"at {self.cursor.text}"


class PageNumber(Sized):
    """Pages by their number."""

    kind: Literal["page"] = "page"
    parameter: str = Field(description="Parameter with the number.")
    first: int = Field(1, ge=0, description="Number of the first page.")

    @property
    def parameters(self) -> dict[str, str]:
        return super().parameters | {self.parameter: str(self.first)}

    def _onward(self, page: Page) -> Request:
        number = int(page.request.parameter(self.parameter))
        return page.request.with_parameters({self.parameter: str(number + 1)})


class Offset(Sized):
    """Pages by the number of the first record."""

    kind: Literal["offset"] = "offset"
    start: str = Field(description="Parameter with the number of records to skip.")
    first: int = Field(0, ge=0, description="Its value for the first record.")

    @property
    def parameters(self) -> dict[str, str]:
        return super().parameters | {self.start: str(self.first)}

    def _onward(self, page: Page) -> Request:
        return page.request.with_parameters({self.start: str(self.first + page.seen)})


class ContinueFrom(Sized):
    """The next page starts after the last record's key."""

    kind: Literal["continue_from"] = "continue_from"
    parameter: str = Field(description="Parameter with the key to start from.")
    column: str = Field(description="Column whose last value the next page continues from.")
    step: int = Field(1, ge=0, description="Added to the last value; 0 if the API itself starts after it.")

    @property
    def continues_from(self) -> str:
        return self.column

    def _onward(self, page: Page) -> Request | End:
        if not page.records:
            return End("an empty page")
        if page.last is None or (self.step and not isinstance(page.last, int)):
            raise SourceRefused(f"the last record's {self.column} is {page.last!r}: the next page cannot start there.")
        last = page.last + self.step if isinstance(page.last, int) else page.last
        text = plain(last) if isinstance(last, Decimal) else str(last)
        return page.request.with_parameters({self.parameter: text})


AnyPaging = Annotated[NextLink | LinkHeader | Cursor | PageNumber | Offset | ContinueFrom, Field(discriminator="kind")]


def next_link(headers: Mapping[str, str]) -> str | None:
    """The link of a `Link` header whose relation is `next`, if there is one.

    Raises:
        SourceRefused: the header names `next` where it is not a list of links.
    """
    header, position = headers.get("Link", ""), 0
    while link := LINK.match(header, position):
        relation, position = _relation(header, link.end())
        if "next" in relation.lower().split():
            return link[1]
    # guard: a header that cannot be read ends no range
    if "next" in header[position:].lower():
        raise SourceRefused(
            f"the Link header is not a list of links from {header[position:].strip()[:80]!r} on, and names `next`.",
            remedy='An API writes `<URL>; rel="next"` (RFC 8288); where this header does not mean more records, '
            "declare `ignore_envelope: [Link]` and another `paging`.",
        )
    return None


def _relation(header: str, position: int) -> tuple[str, int]:
    """The relation that a link's parameters, from `position` on, give it; and the position after them."""
    relation = ""
    while parameter := PARAMETER.match(header, position):
        name, *values = parameter.groups()
        relation = relation or ("".join(filter(None, values)) if name and name.lower() == "rel" else "")
        position = parameter.end()
    return relation, position


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


def _linked(request: Request, link: str) -> Request:
    """The request that a page's link asks for: its query stays as the source wrote it."""
    # guard: fragments do not distinguish pages
    url: str = urldefrag(resolved(request.target, link.strip())).url  # equal requests would look different
    # guard: next links stay on the origin
    # guard: same origin of pages
    if origin(url) != origin(request.target):
        raise SourceRefused(f"the next page is on another origin ({origin(url)[1]}).")
    return Request(url, headers=request.headers, fixed=True)
