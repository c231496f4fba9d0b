"""Instants as strftime writes them: which directives are known, and how exactly several of them say an instant.

The standard library's functions depend on the platform and on the locale, and read more than what is written. Names of
days and months are English here. A text without a zone means UTC.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum
from functools import cache
from itertools import pairwise

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
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NOON = 12
FIRST_OF_1900 = 69  # a year of two digits from here on is one of the 20th century, as POSIX has it
MICROSECOND_DIGITS = 6
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


@dataclass(frozen=True, slots=True)
class _Directive:
    """A directive: what it says of an instant, how it writes it, and the pattern of all texts that it writes.

    `plain` is the pattern without a leading zero; empty where the flag - is not allowed.
    """

    says: frozenset[Unit]
    write: Callable[[datetime], str]
    pattern: str
    plain: str = ""


def _names(names: Iterable[str]) -> str:
    return f"(?i:{'|'.join(names)})"


def _saying(*units: Unit) -> frozenset[Unit]:
    return frozenset(units)


_DIRECTIVES = {
    "Y": _Directive(_saying(Unit.YEAR), lambda at: f"{at.year:04}", "[0-9]{4}"),
    "y": _Directive(_saying(Unit.YEAR), lambda at: f"{at.year % 100:02}", "[0-9]{2}"),
    "m": _Directive(_saying(Unit.MONTH), lambda at: f"{at.month:02}", "0[1-9]|1[0-2]", "[1-9]|1[0-2]"),
    "b": _Directive(_saying(Unit.MONTH), lambda at: MONTHS[at.month - 1][:3], _names(month[:3] for month in MONTHS)),
    "B": _Directive(_saying(Unit.MONTH), lambda at: MONTHS[at.month - 1], _names(MONTHS)),
    "d": _Directive(_saying(Unit.DAY), lambda at: f"{at.day:02}", "0[1-9]|[12][0-9]|3[01]", "[1-9]|[12][0-9]|3[01]"),
    "e": _Directive(_saying(Unit.DAY), lambda at: f"{at.day:2}", " [1-9]|[12][0-9]|3[01]"),
    "j": _Directive(
        _saying(Unit.MONTH, Unit.DAY), lambda at: f"{at.timetuple().tm_yday:03}", "[0-3][0-9]{2}", "[1-9][0-9]{0,2}"
    ),
    "H": _Directive(_saying(Unit.HOUR), lambda at: f"{at.hour:02}", "[01][0-9]|2[0-3]", "1?[0-9]|2[0-3]"),
    "I": _Directive(_saying(), lambda at: f"{at.hour % NOON or NOON:02}", "0[1-9]|1[0-2]", "[1-9]|1[0-2]"),
    "p": _Directive(_saying(Unit.HOUR), lambda at: "AM" if at.hour < NOON else "PM", _names(("AM", "PM"))),
    "M": _Directive(_saying(Unit.MINUTE), lambda at: f"{at.minute:02}", "[0-5][0-9]", "[1-5]?[0-9]"),
    "S": _Directive(_saying(Unit.SECOND), lambda at: f"{at.second:02}", "[0-5][0-9]", "[1-5]?[0-9]"),
    "f": _Directive(_saying(Unit.MICROSECOND), lambda at: f"{at.microsecond:06}", "[0-9]{1,30}"),
    "a": _Directive(_saying(), lambda at: WEEKDAYS[at.weekday()][:3], _names(day[:3] for day in WEEKDAYS)),
    "A": _Directive(_saying(), lambda at: WEEKDAYS[at.weekday()], _names(WEEKDAYS)),
    "z": _Directive(_saying(), lambda _: "+0000", "Z|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9]"),
    "Z": _Directive(_saying(), lambda _: "UTC", "UTC|GMT|Z"),
    "%": _Directive(_saying(), lambda _: "%", "%"),
}
_DIGITS = frozenset("YymdejHIMSf")  # directives that write digits
_SHORT = {"F": "%Y-%m-%d", "T": "%H:%M:%S", "R": "%H:%M"}
_DIRECTIVE = re.compile(r"%(-?)(.?)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class StrftimeText:
    """A text with directives such as %Y. `%-H` is the hour without a leading zero."""

    text: str

    @classmethod
    def parse(cls, text: str) -> "StrftimeText":
        """Read the text.

        Raises:
            ConfigurationError: it has no directive, one that is not known, or one of %I and %p alone.
        """
        parsed = cls(text)
        found = _DIRECTIVE.findall(parsed._full)
        unknown = [f"%{flag}{name}" for flag, name in found if not _is_known(flag, name)]
        names = {name for _, name in found}
        if unknown:
            why = f"the directive {unknown[0]!r} is not known"
        elif "I" in names and not {"p", "H"} & names:
            why = "%I is an hour of twelve: %p is missing"
        elif "p" in names and not {"I", "H"} & names:
            why = "%p is half a day: %I is missing"
        elif not any(_DIRECTIVES[name].says for name in names):
            why = "it says nothing of a time"
        else:
            return parsed
        raise ConfigurationError(
            f"{text!r} is not a strftime text: {why}.",
            remedy=f"Write directives of %{', %'.join([*_DIRECTIVES, *_SHORT])}; %-H is the hour without a leading "
            "zero.",
        )

    @property
    def says(self) -> frozenset[Unit]:
        """What its directives say of an instant."""
        return frozenset().union(*(_DIRECTIVES[name].says for _, name in _DIRECTIVE.findall(self._full)))

    def fill(self, instant: datetime) -> str:
        """The text with the instant's values in UTC; what no directive says is dropped."""
        moment = instant.astimezone(UTC)
        return _DIRECTIVE.sub(lambda found: _value(found[2], moment, plain=bool(found[1])), self._full)

    @property
    def pieces(self) -> Iterator[tuple[str, str, str]]:
        """Its directives in order: the text before each, the flag and the name; at the end the text after them."""
        after = 0
        for found in _DIRECTIVE.finditer(self._full):
            yield self._full[after : found.start()], found[1], found[2]
            after = found.end()
        yield self._full[after:], "", ""

    @property
    def _full(self) -> str:
        """The text with directives that say one thing each."""
        return _DIRECTIVE.sub(lambda found: found[0] if found[1] else _SHORT.get(found[2], found[0]), self.text)


def _is_known(flag: str, name: str) -> bool:
    return name in _DIRECTIVES and (not flag or bool(_DIRECTIVES[name].plain))


def _value(name: str, moment: datetime, *, plain: bool) -> str:
    written = _DIRECTIVES[name].write(moment)
    return str(int(written)) if plain else written


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


@dataclass(frozen=True, slots=True)
class StrftimeReader:
    """Reads instants that a strftime text writes. What it says of no unit is the unit's start, as midnight of a day.

    `directives` has the flag and the name of each, in the order of the pattern's groups. `agrees` says that no value
    can contradict another.
    """

    pattern: re.Pattern[str]
    directives: tuple[tuple[str, str], ...]
    agrees: bool

    @classmethod
    def of(cls, text: str) -> "StrftimeReader":
        """A reader of the text.

        Raises:
            ConfigurationError: it is not a strftime text, leaves out a coarser unit, or may be read in two ways.
        """
        parsed = StrftimeText.parse(text)
        StrftimeTime.of([parsed])
        pieces = list(parsed.pieces)
        for (_, flag, name), (after, _, following) in pairwise(pieces):
            digits = after[:1].isdecimal() or (not after and following in _DIGITS)
            # guard: a strftime text is read in one way
            if (flag or name == "f") and digits:
                raise ConfigurationError(
                    f"{text!r} may be read in two ways: digits follow %{flag}{name}, whose length varies.",
                    remedy="Write directives with leading zeros, or something else between the two.",
                )
        groups = "".join(f"{re.escape(before)}({_pattern(flag, name)})" for before, flag, name in pieces[:-1])
        directives = tuple((flag, name) for _, flag, name in pieces[:-1])
        said = [unit for _, name in directives for unit in _DIRECTIVES[name].says]
        agrees = len(said) == len(set(said)) and not any(name in "aA" for _, name in directives)
        return cls(re.compile(groups + re.escape(pieces[-1][0]), re.ASCII | re.DOTALL), directives, agrees)

    def read(self, text: str, *, truncates: bool = False) -> datetime | None:
        """The instant in UTC; None if the text is not one, or has digits beyond a microsecond.

        `truncates` drops these digits.
        """
        found = self.pattern.fullmatch(text)
        if found is None:
            return None
        said = dict(zip((name for _, name in self.directives), found.groups(), strict=True))
        fraction = said.get("f", "")
        # guard: a fraction beyond a microsecond is not dropped by itself
        if not truncates and fraction[MICROSECOND_DIGITS:].strip("0"):
            return None
        try:
            moment = _moment(said)
        except (ValueError, OverflowError):  # the 30th of February, or the 366th day of the year 9999
            return None
        # guard: values that contradict each other are not an instant
        if not (self.agrees or self._writes(moment, found.groups())):
            return None
        try:
            return moment.replace(tzinfo=_zone(said)).astimezone(UTC)
        except OverflowError:  # 0001-01-01 at +14:00 and the like
            return None

    def _writes(self, moment: datetime, texts: Iterable[str]) -> bool:
        """Whether each directive writes what was read for it; zones and fractions have several forms."""
        return all(
            name in "fzZ" or _value(name, moment, plain=bool(flag)).casefold() == text.casefold()
            for (flag, name), text in zip(self.directives, texts, strict=True)
        )


@cache
def strftime_reader(text: str) -> StrftimeReader:
    """The reader of a text, made once.

    Raises:
        ConfigurationError: as `StrftimeReader.of`.
    """
    return StrftimeReader.of(text)


def _pattern(flag: str, name: str) -> str:
    return _DIRECTIVES[name].plain if flag else _DIRECTIVES[name].pattern


def _moment(said: dict[str, str]) -> datetime:
    """The instant on its own clock."""
    year, day = _year(said), int(said.get("d") or said.get("e") or 1)
    if "j" in said:
        start = datetime(year, 1, 1) + timedelta(days=int(said["j"]) - 1)  # noqa: DTZ001 - on its own clock
        if start.year != year:
            raise ValueError(said["j"])
        year, month, day = start.year, start.month, start.day
    else:
        month = _month(said)
    fraction = said.get("f", "")[:MICROSECOND_DIGITS].ljust(MICROSECOND_DIGITS, "0")
    minute, second = int(said.get("M", 0)), int(said.get("S", 0))
    return datetime(year, month, day, _hour(said), minute, second, int(fraction))  # noqa: DTZ001 - as above


def _year(said: dict[str, str]) -> int:
    if "Y" in said:
        return int(said["Y"])
    short = int(said["y"])
    return short + (1900 if short >= FIRST_OF_1900 else 2000)


def _month(said: dict[str, str]) -> int:
    if name := said.get("b") or said.get("B"):
        return [month[:3] for month in MONTHS].index(name[:3].title()) + 1
    return int(said.get("m", 1))


def _hour(said: dict[str, str]) -> int:
    if "H" in said:
        return int(said["H"])
    return int(said["I"]) % NOON + (NOON if said["p"].upper() == "PM" else 0) if "I" in said else 0


def _zone(said: dict[str, str]) -> timezone:
    offset = said.get("z", "Z")
    if offset == "Z":
        return UTC
    length = timedelta(hours=int(offset[1:3]), minutes=int(offset[-2:]))
    return timezone(-length if offset.startswith("-") else length)
