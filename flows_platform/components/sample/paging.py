"""How an answer seems to continue, from the names and values that surround its records."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flows_platform.columns.paths import RecordPath, single
from flows_platform.components.sample.answer import SampleAnswer
from flows_platform.components.sample.answers import path_of
from flows_platform.components.sample.request import DraftRequest
from flows_platform.fetch.unread import unread_values

_PREFIX = re.compile(r"^.*[.:}]|^[@$_-]+")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ].*)?")
TOTALS = {"total", "totalresults", "totalcount", "totalrecords", "totalhits", "totalelements", "totalitems", "numfound"}
FLAGS = {"hasmore", "more", "hasnext", "hasnextpage", "moreresults", "moreavailable", "istruncated", "ismore"}
CURSORS = {
    "cursor",
    "nextcursor",
    "nextpagetoken",
    "nexttoken",
    "aftercursor",
    "scrollid",
    "endcursor",
    "pagetoken",
    "continuation",
    "continuationtoken",
    "resumptiontoken",
}
LINKS = {"next", "nextlink", "nexturl", "nexthref", "nextpagelink", "nextpageurl", "nextpage", "nexturi"}
PAGES = {"page", "currentpage", "pagenumber", "pageno"}
SIZES = {"perpage", "pagesize", "limit", "resultsperpage", "itemsperpage"}
OFFSETS = {"offset", "startindex", "skip", "from"}


@dataclass(slots=True)
class DraftPaging:
    """The keys of `api` about paging, and the reason of each guess."""

    paging: dict[str, object] | None = None
    total: str = ""
    ignored: list[str] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Member:
    """A value around the records."""

    path: str
    name: str
    value: Any
    more: bool  # the platform takes it for a sign that there is more

    @property
    def plain(self) -> str:
        """Its name without prefixes and signs."""
        return _PREFIX.sub("", _PREFIX.sub("", self.name)).replace("_", "").replace("-", "").casefold()

    @property
    def is_link(self) -> bool:
        return isinstance(self.value, str) and self.value.startswith(("http://", "https://", "/", "?"))

    @property
    def is_empty(self) -> bool:
        return self.value in (None, "", False)


def draft_paging(answer: SampleAnswer, request: DraftRequest, key: str, *, key_is_number: bool) -> DraftPaging:
    """How the answer seems to continue; `key` is the column that identifies a record."""
    members = list(_members(answer.envelope))
    draft = DraftPaging()
    draft.total = _total(members, len(answer.records), draft)
    flag = next((member for member in members if member.plain in FLAGS), None)
    found = _link(members, draft) or _cursor(members, draft) or _counted(members, request, answer, draft)
    if not found and flag:
        step: dict[str, object] = {} if key_is_number else {"step": 0}
        found = {"kind": "continue_from", "parameter": "starting_after", "column": key, **step}
        draft.notes["paging"] = f"{flag.path} says whether there is more, but not where: look it up"
    if found and flag:
        found["more"] = flag.path
    draft.paging = found
    read = [RecordPath.parse(path) for path in (*_paths(found), draft.total) if path]
    left = unread_values(answer.envelope, {}, read)
    draft.ignored = [value.text for value in left if value.more and path_of(value.text)]
    return draft


def _paths(paging: Mapping[str, object] | None) -> Iterator[str]:
    for name in ("link", "cursor", "more"):
        if paging and name in paging:
            yield str(paging[name])


def _members(envelope: Mapping[str, Any]) -> Iterator[_Member]:
    for value in unread_values(envelope, {}, ()):
        if path := path_of(value.text):
            yield _Member(value.text, value.steps[-1].name, single(path.find(envelope)), value.more)


def _total(members: list[_Member], records: int, draft: DraftPaging) -> str:
    for member in members:
        above = member.path.rpartition(".")[0].rpartition(".")[2].casefold()
        named = member.plain in TOTALS or (member.plain == "value" and above in TOTALS)
        whole = str(member.value).isdecimal() and not isinstance(member.value, bool)
        at_least = any(other.path.startswith(f"{above}.") and other.value == "gte" for other in members)
        if whole and not at_least and ((named and int(member.value) >= records) or _counts_more(member, records)):
            draft.notes["total"] = f"{member.value} of them; {records} are in the sample"
            return member.path
    return ""


def _counts_more(member: _Member, records: int) -> bool:
    """Whether a `count` is that of all records: one that equals the page's may be the page's."""
    return member.plain == "count" and int(member.value) > records


def _link(members: list[_Member], draft: DraftPaging) -> dict[str, object] | None:
    for member in members:
        if isinstance(member.value, dict) and "=next]" in member.path:
            name = next((name for name in ("href", "url", "uri", "link") if name in member.value), "href")
            draft.notes["paging"] = "a link with the relation next"
            return {"kind": "next_link", "link": f"{member.path}.{name}"}
        named = member.plain in LINKS or (member.plain in {"href", "url"} and _below_next(member))
        if named and (member.is_link or member.is_empty):
            draft.notes["paging"] = "the link is empty in the sample" if member.is_empty else "a link to the next page"
            return {"kind": "next_link", "link": member.path}
    return None


def _below_next(member: _Member) -> bool:
    return member.path.rpartition(".")[0].rpartition(".")[2].casefold() == "next"


def _cursor(members: list[_Member], draft: DraftPaging) -> dict[str, object] | None:
    for member in members:
        named = member.plain in CURSORS or (member.plain.startswith("next") and member.plain != "nextupdate")
        text = isinstance(member.value, str | int) and not isinstance(member.value, bool)
        timed = isinstance(member.value, str) and _TIME.fullmatch(member.value)
        if named and not timed and (text or member.is_empty):
            parameter = _cursor_parameter(member.name)
            draft.notes["paging"] = "look up which parameter takes the cursor"
            return {"kind": "cursor", "cursor": member.path, "into": {"query": parameter}}
    return None


def _cursor_parameter(name: str) -> str:
    """The parameter that takes a cursor: `cursor` for `next_cursor` and `next`, `pageToken` for `nextPageToken`."""
    if name.casefold() == "next":
        return "cursor"
    rest = re.sub(r"^next[_-]?(?=.)", "", name, flags=re.IGNORECASE)
    shorter = rest[:1].lower() + rest[1:]
    return name if shorter == "token" else shorter


def _counted(
    members: list[_Member], request: DraftRequest, answer: SampleAnswer, draft: DraftPaging
) -> dict[str, object] | None:
    """Paging by a number of pages or records, where the URL or the answer has one."""
    known = {member.plain: member for member in members}
    size = request.size or next(((member.name, _whole(member)) for name in SIZES if (member := known.get(name))), None)
    sized: dict[str, object] = {}
    if size:
        sized = {"size_parameter": size[0], "size": size[1] or len(answer.records)}
    for kind, names, parameter in (("page", PAGES, "parameter"), ("offset", OFFSETS, "start")):
        counted = ((known[name].name, _whole(known[name])) for name in names if name in known)
        seen = next(((name, number) for name, number in counted if number is not None), None)
        if found := request.numbered(names) or seen:
            name, first = found
            draft.notes["paging"] = f"by the number of the {'page' if kind == 'page' else 'first record'}"
            return {"kind": kind, parameter: name, "first": first, **sized}
    if draft.total and int(str(single(RecordPath.parse(draft.total).find(answer.envelope)))) > len(answer.records):
        draft.notes["paging"] = "the total is more than the sample has: look up how the API continues"
        return {
            "kind": "offset",
            "start": "offset",
            **(sized or {"size_parameter": "limit", "size": len(answer.records)}),
        }
    return None


def _whole(member: _Member) -> int | None:
    value = member.value
    return int(value) if str(value).isdecimal() and not isinstance(value, bool) else None
