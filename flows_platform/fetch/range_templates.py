"""`{start}` and `{end}` in texts of a request: the bounds of a range, as the time parameters write them or by strftime.

Other braces stay as they are.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Literal, Protocol

from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.strftime import StrftimeText, StrftimeTime

type Bound = Literal["start", "end"]

_TEMPLATE = re.compile(r"\{(start|end)(?::([^{}]*))?\}")
_BRACES = re.compile(r"\{([A-Za-z_]+)(:[^{}]*)?\}")
_OF_END = ("end", "to", "until", "before", "stop")  # beginnings of other names for the end


class InstantText(Protocol):
    """How a request writes an instant; `resolution` is the smallest step that it can write."""

    @property
    def resolution(self) -> timedelta: ...

    def render(self, instant: datetime) -> str | None: ...


@dataclass(frozen=True, slots=True)
class RangeTemplates:
    """The bounds that texts of a request name: `plain` as the time parameters write them, the others by strftime."""

    plain: frozenset[str] = frozenset()
    start: StrftimeTime | None = None
    end: StrftimeTime | None = None

    @classmethod
    def of(cls, texts: Iterable[str]) -> "RangeTemplates":
        """The bounds that these texts name.

        Raises:
            ConfigurationError: what follows the colon of one is not a strftime text, or all together leave out a unit.
        """
        found = [match.groups() for text in texts for match in _TEMPLATE.finditer(text)]
        forms = {
            bound: dict.fromkeys(StrftimeText.parse(text) for name, text in found if name == bound and text is not None)
            for bound in ("start", "end")
        }
        start, end = (StrftimeTime.of(forms[bound]) if forms[bound] else None for bound in ("start", "end"))
        return cls(frozenset(name for name, text in found if text is None), start, end)

    def __bool__(self) -> bool:
        return bool(self.plain or self.start or self.end)

    @property
    def names_start(self) -> bool:
        return "start" in self.plain or self.start is not None

    @property
    def names_end(self) -> bool:
        return "end" in self.plain or self.end is not None

    @property
    def resolution(self) -> timedelta:
        """The coarsest step of the strftime texts; nothing where there are none."""
        return max((form.resolution for form in (self.start, self.end) if form), default=timedelta(0))


NO_TEMPLATES = RangeTemplates()


@dataclass(frozen=True, slots=True)
class Bounds:
    """A range as a request asks for it. `numeric` says that a bound alone in a JSON text is a number there."""

    start: datetime
    end: datetime
    text: InstantText
    numeric: bool = False

    def of(self, name: str) -> str:
        """A bound as the time parameters write it.

        Raises:
            ConfigurationError: they cannot write it.
        """
        instant = self.start if name == "start" else self.end
        if (rendered := self.text.render(instant)) is None:
            raise ConfigurationError(
                f"{{{name}}} is {instant:%Y-%m-%dT%H:%M:%SZ}, before the first number of its form."
            )
        return rendered

    def fill(self, text: str, quoted: Callable[[str], str] = str) -> str:
        """The text with its bounds, each as `quoted` gives it.

        Raises:
            ConfigurationError: as `of`.
        """
        return _TEMPLATE.sub(lambda found: quoted(self._filled(found[1], found[2])), text)

    def value(self, text: str) -> str | int:
        """The text of a JSON body with its bounds: a number where it is nothing but a bound that is written as one.

        Raises:
            ConfigurationError: as `of`.
        """
        alone = _TEMPLATE.fullmatch(text)
        if self.numeric and alone and alone[2] is None:
            return int(self.of(alone[1]))
        return self.fill(text)

    def _filled(self, name: str, pattern: str | None) -> str:
        if pattern is None:
            return self.of(name)
        return StrftimeText.parse(pattern).fill(self.start if name == "start" else self.end)


def require_readable(text: str) -> None:
    """Refuse a text whose bounds are not written by strftime texts, or whose braces are most likely a misspelt bound.

    Raises:
        ConfigurationError: what follows a colon is not a strftime text, or nothing replaces a name like a bound's.
    """
    for found in _BRACES.finditer(text):
        name, form = found.groups(default="")
        if name in {"start", "end"}:
            if form:
                StrftimeText.parse(form[1:])
        # guard: a misspelt bound is not sent
        elif bound := _meant(name.casefold(), form):
            raise ConfigurationError(f"nothing replaces {found[0]}; did you mean {{{bound}{form}}}?")


def _meant(name: str, form: str) -> str | None:
    """The bound that was most likely meant by the name; any name is one before a strftime text."""
    if "%" in form:
        return "end" if name.startswith(_OF_END) else "start"
    swapped = (bound for bound in ("start", "end") if sorted(bound) == sorted(name))  # strat
    return next(swapped, None) or next(iter(get_close_matches(name, ["start", "end"], 1, cutoff=0.85)), None)


def has_template(text: str) -> bool:
    """Whether the text names a bound."""
    return _TEMPLATE.search(text) is not None


def filled(texts: Mapping[str, str], bounds: Bounds | None) -> dict[str, str]:
    """The texts with the bounds of a range; without a range those that name none."""
    if bounds is None:
        return {name: text for name, text in texts.items() if not has_template(text)}
    return {name: bounds.fill(text) for name, text in texts.items()}
