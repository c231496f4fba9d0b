"""Instants as strftime writes them, in UTC: which directives are known, and how exactly several of them say an instant.

The standard library's strftime depends on the platform and on the locale; names of days and months are English here.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum

from flows_platform.domain.errors import ConfigurationError


class Unit(IntEnum):
    """What a directive says of an instant, the coarsest first."""

    YEAR = 0
    MONTH = 1
    DAY = 2
    HOUR = 3
    MINUTE = 4
    SECOND = 5
    MICROSECOND = 6


MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
# The longest that a unit lasts.
LENGTHS = {
    Unit.YEAR: timedelta(days=366),
    Unit.MONTH: timedelta(days=31),
    Unit.DAY: timedelta(days=1),
    Unit.HOUR: timedelta(hours=1),
    Unit.MINUTE: timedelta(minutes=1),
    Unit.SECOND: timedelta(seconds=1),
    Unit.MICROSECOND: timedelta(microseconds=1),
}
_SAYS: dict[str, frozenset[Unit]] = {
    "Y": frozenset({Unit.YEAR}),
    "y": frozenset({Unit.YEAR}),
    "m": frozenset({Unit.MONTH}),
    "b": frozenset({Unit.MONTH}),
    "B": frozenset({Unit.MONTH}),
    "d": frozenset({Unit.DAY}),
    "j": frozenset({Unit.MONTH, Unit.DAY}),
    "H": frozenset({Unit.HOUR}),
    "p": frozenset({Unit.HOUR}),  # with %I, which alone says no hour
    "M": frozenset({Unit.MINUTE}),
    "S": frozenset({Unit.SECOND}),
    "f": frozenset({Unit.MICROSECOND}),
    "F": frozenset({Unit.YEAR, Unit.MONTH, Unit.DAY}),
    "T": frozenset({Unit.HOUR, Unit.MINUTE, Unit.SECOND}),
    "R": frozenset({Unit.HOUR, Unit.MINUTE}),
} | dict.fromkeys("IaAzZ%", frozenset[Unit]())
_DIRECTIVE = re.compile(r"%(-?)(.?)", re.DOTALL)
_WITHOUT_ZEROS = frozenset("mdjHIMS")  # what the flag - may stand before


@dataclass(frozen=True, slots=True)
class StrftimeText:
    """A text with directives such as %Y. `%-H` is the hour without a leading zero."""

    text: str

    @classmethod
    def parse(cls, text: str) -> "StrftimeText":
        """Read the text.

        Raises:
            ConfigurationError: it has no directive, or one that is not known.
        """
        found = _DIRECTIVE.findall(text)
        unknown = [
            f"%{flag}{name}" for flag, name in found if name not in _SAYS or (flag and name not in _WITHOUT_ZEROS)
        ]
        if unknown or not any(_SAYS[name] for _, name in found):
            why = f"the directive {unknown[0]!r} is not known" if unknown else "it says nothing of a time"
            raise ConfigurationError(
                f"{text!r} is not a strftime text: {why}.",
                remedy=f"Write directives of %{', %'.join(_SAYS)}; %-H is the hour without a leading zero.",
            )
        return cls(text)

    @property
    def says(self) -> frozenset[Unit]:
        """What its directives say of an instant."""
        return frozenset().union(*(_SAYS[name] for _, name in _DIRECTIVE.findall(self.text)))

    def fill(self, instant: datetime) -> str:
        """The text with the instant's values in UTC; what no directive says is dropped."""
        moment = instant.astimezone(UTC)
        return _DIRECTIVE.sub(lambda found: _value(found[2], moment, plain=bool(found[1])), self.text)


@dataclass(frozen=True, slots=True)
class StrftimeTime:
    """An instant that one or more texts write together: `{start:%Y-%m-%d}` in the URL and `{start:%H}` in a header."""

    texts: tuple[StrftimeText, ...]

    @classmethod
    def of(cls, texts: Iterable[StrftimeText]) -> "StrftimeTime":
        """The texts as one form.

        Raises:
            ConfigurationError: they leave out a unit that is coarser than another that they say.
        """
        form = cls(tuple(texts))
        says = frozenset[Unit]().union(*(text.says for text in form.texts))
        left_out = [unit for unit in Unit if unit < form.finest and unit not in says]
        if left_out:
            written = " and ".join(repr(text.text) for text in form.texts)
            raise ConfigurationError(f"{written} does not say the {left_out[0].name.lower()} of a time.")
        return form

    @property
    def finest(self) -> Unit:
        """The finest unit that they say."""
        return max(unit for text in self.texts for unit in text.says)

    @property
    def resolution(self) -> timedelta:
        """The longest that the finest unit lasts."""
        return LENGTHS[self.finest]

    def require_exact(self, instant: datetime) -> None:
        """Refuse an instant that the texts would round.

        Raises:
            ConfigurationError: it is finer than what they say.
        """
        moment = instant.astimezone(UTC)
        # guard: times are not rounded to what a text can say
        if moment != _start_of(self.finest, moment):
            raise ConfigurationError(
                f"{moment:%Y-%m-%dT%H:%M:%S.%fZ} is not the start of a {self.finest.name.lower()}, the finest that "
                f"{' and '.join(repr(text.text) for text in self.texts)} can say.",
                remedy="Write finer directives, or declare windows that begin where the text can say it.",
            )

    def render(self, instant: datetime) -> str:
        """The instant by the first of the texts.

        Raises:
            ConfigurationError: it is finer than what the texts say.
        """
        self.require_exact(instant)
        return self.texts[0].fill(instant)


def _start_of(unit: Unit, moment: datetime) -> datetime:
    first = {"microsecond": 0, "second": 0, "minute": 0, "hour": 0, "day": 1, "month": 1}
    return moment.replace(**dict(list(first.items())[: Unit.MICROSECOND - unit]))  # type: ignore[arg-type]


def _value(directive: str, moment: datetime, *, plain: bool) -> str:
    values = {
        "Y": f"{moment.year:04}",
        "y": f"{moment.year % 100:02}",
        "m": f"{moment.month:02}",
        "b": MONTHS[moment.month - 1][:3],
        "B": MONTHS[moment.month - 1],
        "d": f"{moment.day:02}",
        "j": f"{moment.timetuple().tm_yday:03}",
        "H": f"{moment.hour:02}",
        "I": f"{moment.hour % 12 or 12:02}",
        "p": "AM" if moment.hour < 12 else "PM",  # noqa: PLR2004 - noon
        "M": f"{moment.minute:02}",
        "S": f"{moment.second:02}",
        "f": f"{moment.microsecond:06}",
        "F": f"{moment:%Y-%m-%d}",
        "T": f"{moment:%H:%M:%S}",
        "R": f"{moment:%H:%M}",
        "a": WEEKDAYS[moment.weekday()][:3],
        "A": WEEKDAYS[moment.weekday()],
        "z": "+0000",
        "Z": "UTC",
        "%": "%",
    }
    return str(int(values[directive])) if plain else values[directive]
