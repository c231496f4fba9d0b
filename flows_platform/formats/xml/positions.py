"""Where the records of an XML document are: the path to them, and what the document has instead if it fails."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from lxml import etree

from flows_platform.domain.errors import SourceRefused
from flows_platform.formats.xml.elements import BLANK, local

SHOWN = 5  # names in a message
TEXT = 60  # characters of a text in a message
_STEP = re.compile(r"(?:\{[^{}]*\})?[^/{}]+")  # slashes inside a namespace do not separate steps


def steps_of(path: str) -> list[str]:
    """The names of `A/{http://ns.example/2}B/RECORD`."""
    return _STEP.findall(path)


@dataclass(slots=True)
class Others:
    """Elements where records should be."""

    names: Counter[str] = field(default_factory=Counter)
    filled: set[str] = field(default_factory=set)  # names of elements that are not empty
    nested: set[str] = field(default_factory=set)  # names of elements that contain elements
    text: str = ""  # the text beside the elements

    def add_all(self, holder: etree._Element) -> None:
        """Add the children and the text of an element."""
        self.add(holder)
        self.text = self.text or "".join([holder.text or "", *(child.tail or "" for child in holder)]).strip(BLANK)

    def add(self, elements: Iterable[etree._Element]) -> None:
        for element in elements:
            if isinstance(element.tag, str):
                self._add(element, element.tag)

    def _add(self, element: etree._Element, name: str) -> None:
        self.names[name] += 1
        if len(element):
            self.nested.add(name)
        if len(element) or element.keys() or (element.text or "").strip(BLANK):
            self.filled.add(name)

    @property
    def are_records(self) -> bool:
        """Whether they may be the records under another name: all have one name, or nested ones repeat."""
        return len(self.names) == 1 or any(self.names[name] > 1 for name in self.nested)

    def __str__(self) -> str:
        shown = [f"<{name}>" + (f" ({count:,})" if count > 1 else "") for name, count in self.names.most_common(SHOWN)]
        return ", ".join(shown) + (", …" if len(self.names) > SHOWN else "")


@dataclass(frozen=True, slots=True)
class NotMet:
    """A step of the path to the records that the document does not have, and what it has instead."""

    root: str
    steps: tuple[str, ...]  # up to and including the missing one
    others: Others
    record: bool  # whether the missing step is the record itself

    @property
    def is_nothing(self) -> bool:
        """Whether the list is present and empty."""
        if self.others.text:
            return False
        if len(self.steps) == 1:  # a record may be anywhere below the root, and so may an empty list
            return self.record and not self.others.filled
        return self.record and not self.others.names

    @property
    def may_be_missing(self) -> bool:
        """Whether the step may be missing: there are no records under another name or in another namespace."""
        return not self._namespaces and not (self.record and self.others.are_records)

    @property
    def _namespaces(self) -> list[str]:
        """The names there that equal the step's name, but in another namespace."""
        names = [name for name in self.others.names if name != self.steps[-1] and local(name) == local(self.steps[-1])]
        return [name for name in names if name.startswith("{")]

    def error(self) -> SourceRefused:
        """An error that names the declared path and what the document has instead."""
        *above, step = self.steps
        text = [f"the text {self.others.text[:TEXT]!r}"] if self.others.text else []
        found = [*([str(self.others)] if self.others.names else []), *text]
        instead = f"it contains {' and '.join(found)}" if found else "it is empty"
        message = f"the XML document has no <{step}> in {'/'.join([self.root, *above])!r}: {instead}."
        if self._namespaces:
            return SourceRefused(message, remedy=in_namespace(self._namespaces[0]))
        remedy = f"Check `record`, which leads from <{self.root}> to the records"
        missing = "; if such an answer means that there are no records, declare `nothing: [missing]`"
        return SourceRefused(message, remedy=f"{remedy}{missing if self.may_be_missing else ''}.")


def in_namespace(name: str) -> str:
    """The remedy for a name in another namespace."""
    space = name[1:].partition("}")[0]
    return f"The names are in the namespace {space!r}: declare `namespaces: drop`, or write {name} in paths."


def not_met(root: etree._Element, steps: Iterable[str]) -> NotMet | None:
    """The first step that no element in the tree matches; None if elements match all steps."""
    holders, met, steps = [root], [], list(steps)
    for number, step in enumerate(steps, start=1):
        met.append(step)
        found = [child for holder in holders for child in holder.iterchildren(step)]
        if not found:
            others = Others()
            for holder in holders:
                others.add_all(holder)
            return NotMet(str(root.tag), tuple(met), others, number == len(steps))
        holders = found
    return None


def require_one_namespace(root: etree._Element, steps: Iterable[str]) -> None:
    """Check that no element beside those that the steps lead to has the same name in another namespace.

    Raises:
        SourceRefused: there is one: its records would be missing.
    """
    holders = [root]
    for step in steps:
        children = [child for holder in holders for child in holder.iterchildren(etree.Element)]
        for child in children:
            # guard: records are in one namespace
            if child.tag != step and local(child.tag) == local(step):
                raise SourceRefused(
                    f"the XML document has <{child.tag}> beside <{step}>: only one of them would be read.",
                    remedy="Where both hold records, declare `namespaces: drop`.",
                )
        holders = [child for child in children if child.tag == step]
