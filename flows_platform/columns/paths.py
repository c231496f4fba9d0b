"""Paths into nested records: `cve.id`, `descriptions[lang=en].value`, `TAGS.TAG[]`, `HOST.@id`. Looking up, no casting.

A name with points or other signs is quoted as in JSON: `"@odata.nextLink"`, `a."b.c".d`. An XML name may begin with its
namespace in braces, whose points belong to it: `{urn:a.b}entry.id`.

A record is what JSON decodes to; an XML element is given in the same shape (`formats/xml/elements.py`).
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from flows_platform.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from pydantic_core import CoreSchema

_QUOTED = r'"(?:[^"\\]|\\.)+"'  # as a JSON text
_NAME = rf"""(?:{_QUOTED}|@?\{{[^{{}}]*\}}[^.\[\]="]+|[^.\[\]="{{}}][^.\[\]=]*)"""  # in braces: an XML namespace
_STEP = re.compile(
    rf"(?P<name>{_NAME})(?:\[(?:(?P<key>{_QUOTED}|[^.\[\]=]+)=(?P<value>{_QUOTED}|[^\[\]]*)"
    r"|(?P<index>[0-9]{1,6})|(?P<all>))\])?(?:\.|\Z)"
)
_PLAIN = re.compile(r"(?:@?\{[^{}]*\})?[^.\[\]=\"{}]+")


@dataclass(frozen=True, slots=True)
class Step:
    """One name of a path, and which elements of a list under it are meant."""

    name: str
    key: str | None = None  # those whose member `key` is `value`
    value: str | None = None
    index: int | None = None  # the one there
    all: bool = False  # all of them, as a list

    def values(self, holder: object) -> Iterator[object]:
        """What the step leads to from one value."""
        if not isinstance(holder, Mapping) or self.name not in holder:
            return
        found = holder[self.name]
        several = found if isinstance(found, list) else [found]
        if self.index is not None:
            yield from several[self.index : self.index + 1]
        elif self.key is not None:
            yield from (each for each in several if isinstance(each, Mapping) and str(each.get(self.key)) == self.value)
        else:
            yield from several


@dataclass(frozen=True, slots=True)
class RecordPath:
    """A path, parsed; `text` is how it was written."""

    text: str
    steps: tuple[Step, ...]

    @classmethod
    def parse(cls, text: str) -> "RecordPath":
        """Read a path.

        Raises:
            ConfigurationError: it is none.
        """
        steps, place = [], 0
        while match := _STEP.match(text, place):
            index = int(match["index"]) if match["index"] else None
            name, key, value = (_unquoted(match[part]) for part in ("name", "key", "value"))
            steps.append(Step(name or "", key, value, index, match["all"] is not None))
            place = match.end()
            if place == len(text):
                break
        if not steps or place != len(text) or text.endswith("."):
            raise ConfigurationError(
                f"{text!r} is no path into a record.",
                remedy='Write names with points between them, a name with points in quotes (a."b.c"); after a name '
                "[key=value], [0] or [] choose from a list.",
            )
        return cls(text, tuple(steps))

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> "CoreSchema":
        """Lets a declared field hold a path: its YAML is the text. A template is parsed once it is replaced."""
        # Imported here: the API server uses paths, and does without pydantic.
        from pydantic_core import core_schema  # noqa: PLC0415

        from flows_platform.declared import is_template, parsed  # noqa: PLC0415

        def read(given: object, as_text: Callable[[object], str]) -> RecordPath:
            if isinstance(given, RecordPath):
                return given
            text = as_text(given)
            return cls(text, ()) if is_template(text) else parsed(cls.parse, text)

        written = core_schema.plain_serializer_function_ser_schema(attrgetter("text"))
        return core_schema.no_info_wrap_validator_function(read, core_schema.str_schema(), serialization=written)

    @property
    def names(self) -> tuple[str, ...]:
        """The names alone."""
        return tuple(step.name for step in self.steps)

    @property
    def lists(self) -> bool:
        """Whether the path asks for a list, also of one or of none."""
        return any(step.all for step in self.steps)

    @property
    def chooses(self) -> bool:
        """Whether the path leaves some elements of a list."""
        return any(step.index is not None or step.key is not None for step in self.steps)

    def find(self, record: object) -> list[object]:
        """All values that the path leads to; a list at its end counts as its elements."""
        found = [record]
        for step in self.steps:
            found = [value for holder in found for value in step.values(holder)]
        return found


def quoted(name: str) -> str:
    """A member's name as a path writes it."""
    return name if _PLAIN.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _unquoted(part: str | None) -> str | None:
    if part is None or len(part) < 2 or not part.startswith('"') or not part.endswith('"'):  # noqa: PLR2004 - quotes
        return part
    try:
        return str(json.loads(part))
    except ValueError as error:
        raise ConfigurationError(f"{part} is not a name in quotes as JSON writes them ({error}).") from error


def single(found: list[object]) -> object:
    """The one value of a path's, or None where there is none; several are given as a list."""
    if not found:
        return None
    return found[0] if len(found) == 1 else found
