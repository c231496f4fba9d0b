"""An object in a CVE document with its path: reads values by name and type, or names the path of a wrong one.

Text columns cannot hold NUL (PostgreSQL) or half surrogates (UTF-8): both become U+FFFD there. The document keeps them
as JSON escapes.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from math import isfinite

from flows_platform.domain.errors import InputError

UNSTORABLE = re.compile("[\0\ud800-\udfff]")
# NVD gives no zone and means UTC. datetime would silently cut digits beyond microseconds.
INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})?")
BRIEF = 60  # characters of a value that a message shows


def storable(text: str) -> str:
    """The text as a column can hold it."""
    return UNSTORABLE.sub("\ufffd", text)


@dataclass(frozen=True, slots=True)
class JsonObject:
    """An object in the CVE `cve`, at `path`. A member that is null counts as absent."""

    cve: str
    path: str
    value: Mapping[str, object]

    def text(self, *names: str) -> str | None:
        """The first member of `names` that is present, a text.

        Raises:
            InputError: it is something else.
        """
        for name in names:
            value = self.value.get(name)
            if isinstance(value, str):
                return storable(value)
            if value is not None:
                raise self._wrong(name, value, "a text")
        return None

    def needed(self, name: str) -> str:
        """A required text.

        Raises:
            InputError: it is missing or something else.
        """
        found = self.text(name)
        if found is None:
            raise self._wrong(name, None, "a text")
        return found

    def number(self, name: str) -> float | None:
        """A finite number.

        Raises:
            InputError: it is something else.
        """
        value = self.value.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or not _fits(value):
            raise self._wrong(name, value, "a finite number")
        return float(value)

    def flag(self, name: str) -> bool | None:
        """True or false.

        Raises:
            InputError: it is something else.
        """
        value = self.value.get(name)
        if value is not None and not isinstance(value, bool):
            raise self._wrong(name, value, "true or false")
        return value

    def instant(self, name: str) -> datetime:
        """A time, in UTC unless it names another zone.

        Raises:
            InputError: it is missing or something else.
        """
        text = self.needed(name)
        found = _instant(text)
        if found is None:
            raise self._wrong(name, text, "a time such as 2021-12-27T18:15:09.327")
        return found

    def texts(self, name: str) -> list[str]:
        """A list of texts, empty if it is absent.

        Raises:
            InputError: it is something else.
        """
        found = []
        for index, value in enumerate(self._list(name)):
            if not isinstance(value, str):
                raise self._wrong(f"{name}[{index}]", value, "a text")
            found.append(value)
        return found

    def objects(self, name: str) -> Iterator["JsonObject"]:
        """The objects of a list, which is empty if it is absent.

        Raises:
            InputError: it is not a list of objects.
        """
        for index, value in enumerate(self._list(name)):
            yield self._object(f"{name}[{index}]", value)

    def inner(self, name: str) -> "JsonObject":
        """An object, an empty one if it is absent.

        Raises:
            InputError: it is something else.
        """
        value = self.value.get(name)
        return self._object(name, {} if value is None else value)

    def _object(self, step: str, value: object) -> "JsonObject":
        if not isinstance(value, Mapping):
            raise self._wrong(step, value, "an object")
        return JsonObject(self.cve, self._at(step), value)

    def _list(self, name: str) -> list[object]:
        value = self.value.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self._wrong(name, value, "a list")
        return value

    def _at(self, step: str) -> str:
        return f"{self.path}.{step}" if self.path else step

    def _wrong(self, step: str, value: object, wanted: str) -> InputError:
        found = "missing" if value is None else ascii(value)[:BRIEF]
        return InputError(f"{self.cve}: {self._at(step)} is {found}, not {wanted}.")


def _fits(value: float | Decimal) -> bool:
    try:
        return isfinite(float(value))
    except (OverflowError, ValueError):
        return False


def _instant(text: str) -> datetime | None:
    if not INSTANT.fullmatch(text):
        return None
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None  # the day does not exist, or the year does not in UTC
