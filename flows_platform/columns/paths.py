"""Paths into nested records: `cve.id`, `descriptions[lang=en].value`, `TAGS.TAG[]`, `HOST.@id`. They do not cast.

A name with dots or other signs is quoted as in JSON: `"@odata.nextLink"`, `a."b.c".d`. An XML name may begin with its
namespace in braces, which may contain dots: `{urn:a.b}entry.id`.

A record is an object as JSON decodes it; XML elements get the same shape (`formats/xml/elements.py`).
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from flows_platform.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from pydantic_core import CoreSchema

_QUOTED = r'"(?:[^"\\]|\\.)+"'  # a JSON string
_NAME = rf"""(?:{_QUOTED}|@?\{{[^{{}}]*\}}[^.\[\]="]+|[^.\[\]="{{}}][^.\[\]=]*)"""  # in braces: an XML namespace
_STEP = re.compile(
    rf"(?P<name>{_NAME})(?:\[(?:(?P<key>{_QUOTED}|[^.\[\]=]+)=(?P<value>{_QUOTED}|[^\[\]]*)"
    r"|(?P<index>[0-9]{1,6})|(?P<all>))\])?(?:\.|\Z)"
)
TEXT = "#text"  # an XML element's text, beside its attributes and children
_PLAIN = re.compile(r"(?:@?\{[^{}]*\})?[^.\[\]=\"{}]+")


@dataclass(frozen=True, slots=True)
class Step:
    """One name of a path, and which elements it selects if a list is there."""

    name: str
    key: str | None = None  # the elements whose member `key` is `value`
    value: str | None = None
    index: int | None = None  # the element with this index
    all: bool = False  # all elements, as a list

    @property
    def chooses(self) -> bool:
        """Whether it says which elements of a list are meant."""
        return self.all or self.index is not None or self.key is not None

    def values(self, holder: object) -> Iterator[object]:
        """The values that the step leads to from `holder`.

        An XML element without attributes and children is its text, so this text is its `#text` too: whether an element
        has attributes may differ from record to record.
        """
        if self.name == TEXT and isinstance(holder, str):
            if holder:
                yield holder
            return
        if not isinstance(holder, Mapping) or self.name not in holder:
            return
        found = holder[self.name]
        several = found if isinstance(found, list) else [found]
        if self.index is not None:
            yield from several[self.index : self.index + 1]
        elif self.key is not None:
            yield from (item for item in several if isinstance(item, Mapping) and str(item.get(self.key)) == self.value)
        else:
            yield from several


@dataclass(frozen=True, slots=True)
class RecordPath:
    """A parsed path; `text` is the path as written."""

    text: str
    steps: tuple[Step, ...]

    @classmethod
    def parse(cls, text: str) -> "RecordPath":
        """Read a path.

        Raises:
            ConfigurationError: the text is not a path.
        """
        steps, position = [], 0
        while match := _STEP.match(text, position):
            index = int(match["index"]) if match["index"] else None
            name, key, value = (_unquoted(match[group]) for group in ("name", "key", "value"))
            steps.append(Step(name or "", key, value, index, match["all"] is not None))
            position = match.end()
            if position == len(text):
                break
        if not steps or position != len(text) or text.endswith("."):
            raise ConfigurationError(
                f"{text!r} is not a path into a record.",
                remedy='Separate names by dots, and quote a name that contains dots (a."b.c"); after a name, '
                "[key=value], [0] or [] selects from a list.",
            )
        return cls(text, tuple(steps))

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> "CoreSchema":
        """Let a field of a YAML model hold a path, written as its text. A template is parsed once it is filled in."""
        # Imported here: the API server uses paths without pydantic.
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
        """Whether the path's value is a list, even of one element or empty."""
        return any(step.all for step in self.steps)

    @property
    def chooses(self) -> bool:
        """Whether the path skips some elements of a list."""
        return any(step.index is not None or step.key is not None for step in self.steps)

    def find(self, record: object) -> list[object]:
        """All values that the path leads to. A list at the end of the path gives its elements."""
        found = [record]
        for step in self.steps:
            found = [value for holder in found for value in step.values(holder)]
        return found


def quoted(name: str) -> str:
    """A member's name as written in a path."""
    return name if _PLAIN.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def joined(names: Iterable[str]) -> str:
    """The path that leads through members of these names."""
    return ".".join(map(quoted, names))


def _unquoted(text: str | None) -> str | None:
    if text is None or len(text) < 2 or not text.startswith('"') or not text.endswith('"'):  # noqa: PLR2004 - quotes
        return text
    try:
        return str(json.loads(text))
    except ValueError as error:
        raise ConfigurationError(f"{text} is not a name quoted as in JSON ({error}).") from error


def single(found: list[object]) -> object:
    """The only value of those found; None if there are none, and a list if there are several."""
    if not found:
        return None
    return found[0] if len(found) == 1 else found
