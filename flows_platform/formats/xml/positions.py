"""Where the records of an XML document lie: the steps that lead to them, and what stands there where one is not met."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from lxml import etree

from flows_platform.domain.errors import SourceRefused
from flows_platform.formats.xml.elements import BLANK, local

SHOWN = 5  # names in a message
TEXT = 60  # characters in one
_STEP = re.compile(r"(?:\{[^{}]*\})?[^/{}]+")  # the slashes of a namespace belong to it


def steps_of(path: str) -> list[str]:
    """The names of `A/{http://ns.example/2}B/RECORD`."""
    return _STEP.findall(path)


@dataclass(slots=True)
class Others:
    """Elements that stand where records should."""

    names: Counter[str] = field(default_factory=Counter)
    filled: set[str] = field(default_factory=set)  # those that hold something
    nested: set[str] = field(default_factory=set)  # elements, for one
    text: str = ""  # that stands there beside them

    def add_all(self, holder: etree._Element) -> None:
        """Take what an element holds, its text too."""
        self.add(holder)
        self.text = self.text or "".join([holder.text or "", *(each.tail or "" for each in holder)]).strip(BLANK)

    def add(self, elements: Iterable[etree._Element]) -> None:
        for each in elements:
            if isinstance(each.tag, str):
                self._add(each, each.tag)

    def _add(self, element: etree._Element, name: str) -> None:
        self.names[name] += 1
        if len(element):
            self.nested.add(name)
        if len(element) or element.keys() or (element.text or "").strip(BLANK):
            self.filled.add(name)

    @property
    def are_records(self) -> bool:
        """Whether some are the records under another name: all are called alike, or some nest and repeat."""
        return len(self.names) == 1 or any(self.names[name] > 1 for name in self.nested)

    def __str__(self) -> str:
        shown = [f"<{name}>" + (f" ({count:,})" if count > 1 else "") for name, count in self.names.most_common(SHOWN)]
        return ", ".join(shown) + (", …" if len(self.names) > SHOWN else "")


@dataclass(frozen=True, slots=True)
class NotMet:
    """A step of the way from the root to the records, and what stands in its place."""

    root: str
    steps: tuple[str, ...]  # down to the one that is not met
    others: Others
    record: bool  # it is the record's own

    @property
    def is_nothing(self) -> bool:
        """Whether the list is there and empty."""
        if self.others.text:
            return False
        if len(self.steps) == 1:  # the record may lie anywhere below the root: an empty list lies there too
            return self.record and not self.others.filled
        return self.record and not self.others.names

    @property
    def may_be_missing(self) -> bool:
        """Whether it may be left out: what stands in its place is no list of records under another name."""
        return not self._namespaces and not (self.record and self.others.are_records)

    @property
    def _namespaces(self) -> list[str]:
        """Those in which the step's name does occur."""
        names = [name for name in self.others.names if name != self.steps[-1] and local(name) == local(self.steps[-1])]
        return [name for name in names if name.startswith("{")]

    def error(self) -> SourceRefused:
        """Names what was declared and what stands there."""
        *above, step = self.steps
        text = [f"the text {self.others.text[:TEXT]!r}"] if self.others.text else []
        found = [*([str(self.others)] if self.others.names else []), *text]
        there = (
            f"{' and '.join(found)} {'stand' if self.others.names else 'stands'} there"
            if found
            else "nothing stands there"
        )
        message = f"the XML document has no <{step}> in {'/'.join([self.root, *above])!r}: {there}."
        if self._namespaces:
            return SourceRefused(message, remedy=in_namespace(self._namespaces[0]))
        remedy = f"Check `record`, which leads from <{self.root}> to the records"
        missing = "; where such an answer means that there are no records, say so in `nothing: [missing]`"
        return SourceRefused(message, remedy=f"{remedy}{missing if self.may_be_missing else ''}.")


def in_namespace(name: str) -> str:
    """What to do about a name that is in a namespace."""
    space = name[1:].partition("}")[0]
    return f"The names are in the namespace {space!r}: declare `namespaces: drop`, or write {name} in paths."


def not_met(root: etree._Element, steps: Iterable[str]) -> NotMet | None:
    """The first step that nothing in the tree meets."""
    holders, met, steps = [root], [], list(steps)
    for place, step in enumerate(steps, start=1):
        met.append(step)
        found = [child for holder in holders for child in holder.iterchildren(step)]
        if not found:
            others = Others()
            for holder in holders:
                others.add_all(holder)
            return NotMet(str(root.tag), tuple(met), others, place == len(steps))
        holders = found
    return None
