"""Values around the records of a page that nothing reads, although they may say that there are more records."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from flows_platform.columns.paths import TEXT, RecordPath, Step, quoted
from flows_platform.domain.errors import SourceRefused, StreamIncomplete
from flows_platform.fetch.flags import is_false
from flows_platform.fetch.paging import next_link

LINK_HEADER = "Link"
SHOWN = 100  # values that a message names at most
_PREFIX = re.compile(r"^.*[.:}]|^[@$_-]+")  # `@odata.nextLink`, `atom:next`, `{urn:x}next`, `_next`
_MORE = re.compile(
    r"next.*|cursor|continu.*|(?:is)?more|more(?:results|records|items|data|pages|rows|available)|has(?:more|next).*"
    r"|(?:is)?truncated"
)
_LAST = re.compile(
    r"(?:is)?last(?:page)?|endof(?:stream|data|results|list)|done|(?:is)?complete"
)  # where it says false
_PARTIAL = re.compile(r"(?:is)?(?:incomplete|partial)(?:results?|response|answer|data|records|rows)?|timedout")
_TOTAL = re.compile(r"total(?:number)?(?:of)?(?:count|results?|records?|items?|hits|matches|elements|rows|entries)?")
_PAGES = re.compile(r"(?:total|num|numberof)?pages|pagecount|lastpage")
# Names of headers; not every `next…`, since frameworks use such names.
_HEADER = re.compile(
    r"(?:x-(?:ms-)?)?(?:next(?:-?(?:page|cursor|token|link|url|offset|marker|key|id))*|cursor|continuation.*|has-?more"
    r"|has-?next)",
    re.IGNORECASE,
)
RELATIONS = ("rel", "relation", "@rel")  # links as a list: `{"rel": "next", "href": …}`


@dataclass(frozen=True, slots=True)
class UnreadValue:
    """A value around the records: its path, and whether its names and its value say that there is more."""

    steps: tuple[Step, ...]
    more: bool

    @property
    def text(self) -> str:
        """Its path as text."""
        return ".".join(_written(step) for step in self.steps)

    @property
    def in_yaml(self) -> str:
        """Its path as an element of a YAML list."""
        return f"'{self.text}'" if '"' in self.text or "[" in self.text else self.text


def unread_values(
    envelope: Mapping[str, object], headers: Mapping[str, str], read: Collection[RecordPath]
) -> list[UnreadValue]:
    """Values around the records that the paths `read` do not lead to, and headers that say that there is more."""
    found = [*_in_headers(headers), *_in(envelope, (), more=False)]
    values = {value.text: value for value in found}
    return [value for value in values.values() if not any(_covers(path, value) for path in read)]


def require_read(
    values: Collection[UnreadValue], ignored: Collection[RecordPath], holder: str = "the last page"
) -> None:
    """Refuse a last page, or another `holder` of values, on which an unread value says that there is more.

    Raises:
        SourceRefused: there is such a value.
    """
    left = [value for value in values if value.more and not any(_covers(path, value) for path in ignored)]
    if not left:
        return
    names = ", ".join(
        "the Link header (rel=next)" if value.text == LINK_HEADER else value.text for value in left[:SHOWN]
    )
    written = ", ".join(value.in_yaml for value in left[:SHOWN])
    raise SourceRefused(
        f"{holder} says that there is more in values that nothing reads: {names}.",
        remedy=f"Declare under `paging` how the API continues; where this does not mean more records, "
        f"declare `ignore_envelope: [{written}]`.",
    )


def require_whole(
    envelope: Mapping[str, object], read: Collection[RecordPath], ignored: Collection[RecordPath]
) -> None:
    """Refuse an answer that says that it is not whole: `incomplete_results`, `partial` or `timed_out` is true.

    Raises:
        StreamIncomplete: it says so, and nothing reads that value.
    """
    for value, said in _named(envelope, ()):
        # guard: a page that says that it is partial is refused
        if _PARTIAL.fullmatch(_plain(value.steps[-1].name)) and str(said).strip().casefold() == "true":
            _require_covered(value, said, [*read, *ignored], "the answer says that it is not whole")


def require_counted(
    envelope: Mapping[str, object], seen: int, read: Collection[RecordPath], ignored: Collection[RecordPath]
) -> None:
    """Refuse a range's only page if it names a larger total than the `seen` records, or more than one page.

    Raises:
        StreamIncomplete: it names one, and nothing reads that value.
    """
    for value, said in _named(envelope, ()):
        name = _plain(value.steps[-1].name)
        most = seen if _TOTAL.fullmatch(name) else 1 if _PAGES.fullmatch(name) else None
        # guard: the only page has all that its total counts
        if most is not None and isinstance(said, int | Decimal) and not isinstance(said, bool) and said > most:
            _require_covered(value, said, [*read, *ignored], f"{seen:,} records came, and there seem to be more")


def _require_covered(value: UnreadValue, said: object, paths: Collection[RecordPath], why: str) -> None:
    if any(_covers(path, value) for path in paths):
        return
    raise StreamIncomplete(
        f"{why}: {value.text} is {str(said)[:40]}.",
        remedy="If records are missing, declare `paging`, or shorter windows; if this means something else, "
        f"declare `ignore_envelope: [{value.in_yaml}]`.",
    )


def _named(value: object, steps: tuple[Step, ...]) -> Iterator[tuple[UnreadValue, object]]:
    """The single values of objects around the records, with their paths."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _named(inner, (*steps, Step(str(name))))
    elif steps and not isinstance(value, list):
        yield UnreadValue(steps, more=False), value


def _in_headers(headers: Mapping[str, str]) -> Iterator[UnreadValue]:
    if _links_on(headers):
        yield UnreadValue((Step(LINK_HEADER),), more=True)
    for name, value in headers.items():
        if _HEADER.fullmatch(name) and not is_false(value):
            yield UnreadValue((Step(name),), more=True)


def _links_on(headers: Mapping[str, str]) -> bool:
    try:
        return next_link(headers) is not None
    except SourceRefused:  # it cannot be read, and names `next`
        return True


def _in(value: object, steps: tuple[Step, ...], *, more: bool) -> Iterator[UnreadValue]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _in(inner, (*steps, Step(str(name))), more=more or _says_more(str(name)))
    elif isinstance(value, list):
        for inner in value:
            if steps and isinstance(inner, Mapping) and (chosen := _relation(inner)):
                others = [other for name, other in inner.items() if name != chosen[0]]
                yield UnreadValue((*steps[:-1], Step(steps[-1].name, *chosen)), not all(map(is_false, others)))
            else:
                yield from _in(inner, steps, more=more)
    elif steps:
        yield UnreadValue(steps, (more and not is_false(value)) or _is_not_last(steps[-1].name, value))


def _says_more(name: str) -> bool:
    return _MORE.fullmatch(_plain(name)) is not None


def _is_not_last(name: str, value: object) -> bool:
    return str(value).strip().casefold() == "false" and _LAST.fullmatch(_plain(name)) is not None


def _plain(name: str) -> str:
    return _PREFIX.sub("", _PREFIX.sub("", name)).replace("_", "").replace("-", "").casefold()


def _relation(link: Mapping[str, object]) -> tuple[str, str] | None:
    """The member of a link that says that it leads to the next page, and its value."""
    said = ((name, str(link[name])) for name in RELATIONS if name in link)
    return next(((name, value) for name, value in said if value.casefold() == "next"), None)


def _covers(path: RecordPath, value: UnreadValue) -> bool:
    """Whether the path leads to the value or to an object around it, or, if the value is a link, into it.

    With the text of an XML element its attributes are read: `<resumptionToken cursor="0">` of OAI-PMH is not a cursor.
    """
    steps = path.steps[:-1] if path.names[1:] and path.names[-1] == TEXT else path.steps
    ways = zip(steps, value.steps, strict=False)
    within = len(steps) <= len(value.steps) or value.steps[-1].key is not None
    return within and all(_meets(step, there) for step, there in ways)


def _meets(step: Step, there: Step) -> bool:
    return step.name == there.name and (step.key is None or (step.key, step.value) == (there.key, there.value))


def _written(step: Step) -> str:
    return quoted(step.name) + (f"[{quoted(step.key)}={step.value}]" if step.key is not None else "")
