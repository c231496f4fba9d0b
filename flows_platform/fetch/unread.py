"""What stands around a page's records, and which of it says that there is more although nothing reads it."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from flows_platform.columns.paths import RecordPath, Step, quoted
from flows_platform.domain.errors import SourceRefused
from flows_platform.fetch.flags import is_false
from flows_platform.fetch.paging import next_link

LINK_HEADER = "Link"
SHOWN = 100  # places that are named
_PREFIX = re.compile(r"^.*[.:}]|^[@$_-]+")  # `@odata.nextLink`, `atom:next`, `{urn:x}next`, `_next`
_MORE = re.compile(
    r"next.*|cursor|continu.*|(?:is)?more|more(?:results|records|items|data|pages|rows|available)|has(?:more|next).*"
    r"|(?:is)?truncated"
)
_LAST = re.compile(
    r"(?:is)?last(?:page)?|endof(?:stream|data|results|list)|done|(?:is)?complete"
)  # where it says false
# Of a header; not every `next…`, since frameworks have such names.
_HEADER = re.compile(
    r"(?:x-(?:ms-)?)?(?:next(?:-?(?:page|cursor|token|link|url|offset|marker|key|id))*|cursor|continuation.*|has-?more"
    r"|has-?next)",
    re.IGNORECASE,
)
RELATIONS = ("rel", "relation", "@rel")  # links as a list: `{"rel": "next", "href": …}`


@dataclass(frozen=True, slots=True)
class Place:
    """A value around the records: the way to it, and whether its names and its value say that there is more."""

    steps: tuple[Step, ...]
    more: bool

    @property
    def text(self) -> str:
        """As a path writes it."""
        return ".".join(_written(step) for step in self.steps)


def unread_places(
    envelope: Mapping[str, object], headers: Mapping[str, str], read: Collection[RecordPath]
) -> list[Place]:
    """The values around a page's records that none of the paths `read` leads to, and headers that say more."""
    found = [*_header_places(headers), *_places(envelope, (), more=False)]
    places = {place.text: place for place in found}
    return [place for place in places.values() if not any(_covers(path, place) for path in read)]


def require_read(places: Collection[Place], ignored: Collection[RecordPath]) -> None:
    """Refuse a last page that says more where nothing looks.

    Raises:
        SourceRefused: it does.
    """
    left = [place for place in places if place.more and not any(_covers(path, place) for path in ignored)]
    if not left:
        return
    names = ", ".join("the Link header (rel=next)" if each.text == LINK_HEADER else each.text for each in left[:SHOWN])
    written = ", ".join(
        f"'{each.text}'" if '"' in each.text or "[" in each.text else each.text for each in left[:SHOWN]
    )
    raise SourceRefused(
        f"the last page says that there is more in a place that nothing reads: {names}.",
        remedy=f"Declare under `paging` how the API continues; where this says nothing of more records, "
        f"declare `ignore_envelope: [{written}]`.",
    )


def _header_places(headers: Mapping[str, str]) -> Iterator[Place]:
    if _links_on(headers):
        yield Place((Step(LINK_HEADER),), more=True)
    for name, value in headers.items():
        if _HEADER.fullmatch(name) and not is_false(value):
            yield Place((Step(name),), more=True)


def _links_on(headers: Mapping[str, str]) -> bool:
    try:
        return next_link(headers) is not None
    except SourceRefused:  # it cannot be read, and names `next`
        return True


def _places(value: object, steps: tuple[Step, ...], *, more: bool) -> Iterator[Place]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _places(each, (*steps, Step(str(name))), more=more or _says_more(str(name)))
    elif isinstance(value, list):
        for each in value:
            if steps and isinstance(each, Mapping) and (chosen := _relation(each)):
                others = [value for name, value in each.items() if name != chosen[0]]
                yield Place((*steps[:-1], Step(steps[-1].name, *chosen)), not all(map(is_false, others)))
            else:
                yield from _places(each, steps, more=more)
    elif steps:
        yield Place(steps, (more and not is_false(value)) or _is_not_last(steps[-1].name, value))


def _says_more(name: str) -> bool:
    return _MORE.fullmatch(_plain(name)) is not None


def _is_not_last(name: str, value: object) -> bool:
    return str(value).strip().casefold() == "false" and _LAST.fullmatch(_plain(name)) is not None


def _plain(name: str) -> str:
    return _PREFIX.sub("", _PREFIX.sub("", name)).replace("_", "").replace("-", "").casefold()


def _relation(link: Mapping[str, object]) -> tuple[str, str] | None:
    """The member of a link that says that it is the next page's, and what it says."""
    said = ((name, str(link[name])) for name in RELATIONS if name in link)
    return next(((name, value) for name, value in said if value.casefold() == "next"), None)


def _covers(path: RecordPath, place: Place) -> bool:
    """Whether the path leads to the place, to something that holds it, or into the link that it is."""
    ways = zip(path.steps, place.steps, strict=False)
    within = len(path.steps) <= len(place.steps) or place.steps[-1].key is not None
    return within and all(_meets(step, there) for step, there in ways)


def _meets(step: Step, there: Step) -> bool:
    return step.name == there.name and (step.key is None or (step.key, step.value) == (there.key, there.value))


def _written(step: Step) -> str:
    return quoted(step.name) + (f"[{quoted(step.key)}={step.value}]" if step.key is not None else "")
