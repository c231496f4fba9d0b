"""Flags as documents write them: `true`, `"true"` and `1` mean the same, in JSON and in XML."""

from collections.abc import Mapping
from dataclasses import dataclass

from flows_platform.columns.paths import RecordPath

FALSE_WORDS = {"", "false", "0"}
NO = {"n", "no", "f", "off", "none", "null"}  # other words for no in a flag; a cursor might be such a text


def is_false(value: object) -> bool:
    """Whether a member is empty or means no: false, null, 0, "", "false", "0", an empty list or object."""
    if isinstance(value, str):
        return value.strip().casefold() in FALSE_WORDS
    return not value


@dataclass(frozen=True, slots=True)
class Flag:
    """A member that says whether there is more. With a `code`, only that value means yes."""

    path: RecordPath
    code: str | None = None

    def value(self, envelope: Mapping[str, object]) -> bool | None:
        """Whether there is more; None if the member is missing."""
        found = self.path.find(envelope)
        return any(map(self._says_more, found)) if found else None

    def _says_more(self, value: object) -> bool:
        if self.code is None or self.code == "true":
            return not (is_false(value) or str(value).strip().casefold() in NO)
        if self.code == "false":
            return is_false(value)
        return (str(value).lower() if isinstance(value, bool) else str(value)) == self.code

    def __str__(self) -> str:
        return self.path.text
