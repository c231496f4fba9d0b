"""The grammar of query strings: kinds of parameters, and how they are read. OpenAPI is made from the same objects."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl

from api_server.http.problems import invalid_parameter
from api_server.http.tokens import without_tokens
from flows_platform.domain.schema import INT64_MAX
from flows_platform.formats.protocol.names import WireFormat

# int() would also take `1_000`, ` 7`, `+7` and digits of other scripts.
# guard: numbers are ASCII digits
INTEGER = re.compile("0|[1-9][0-9]{0,18}")
MOST_FIELDS = 32
BRIEF = 60  # characters of a value that a problem shows


class Parameter(Protocol):
    """What OpenAPI and problem documents say about a parameter; `schema` is JSON Schema."""

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def allowed(self) -> str: ...
    @property
    def schema(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class IntegerParameter:
    """A whole number of ASCII digits, without sign or leading zeros."""

    name: str
    description: str
    minimum: int
    maximum: int = INT64_MAX

    @property
    def allowed(self) -> str:
        return f"a whole number from {self.minimum} to {self.maximum}, in ASCII digits without sign or leading zeros"

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "format": "int64", "minimum": self.minimum, "maximum": self.maximum}

    def parse(self, text: str) -> int:
        """The number.

        Raises:
            Problem: the text is not such a number.
        """
        value = int(text) if INTEGER.fullmatch(text) else -1
        # guard: numbers have bounds
        if not self.minimum <= value <= self.maximum:
            raise invalid_parameter(self.name, f"{self.name} is {brief(text)}.", self.allowed)
        return value


@dataclass(frozen=True, slots=True)
class FormatParameter:
    """The name of a format."""

    name: str
    description: str
    formats: Sequence[WireFormat]

    @property
    def allowed(self) -> str:
        return ", ".join(self.formats)

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.formats)}

    def parse(self, text: str) -> WireFormat:
        """The format.

        Raises:
            Problem: the path does not offer such a format.
        """
        for wire_format in self.formats:
            if text == wire_format:
                return wire_format
        raise invalid_parameter(self.name, f"{self.name} is {brief(text)}.", self.allowed)


@dataclass(frozen=True, slots=True)
class FlagParameter:
    """A switch: one word turns it on, leaving it out turns it off. Another word for "off" would be a second way."""

    name: str
    description: str
    word: str = "1"

    @property
    def allowed(self) -> str:
        return f"{self.word}, or left out"

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": [self.word]}

    def parse(self, text: str) -> bool:
        """True.

        Raises:
            Problem: the text is anything but the word.
        """
        if text != self.word:
            raise invalid_parameter(self.name, f"{self.name} is {brief(text)}.", self.allowed)
        return True


def format_parameter(formats: Sequence[WireFormat]) -> FormatParameter:
    """The `format` parameter of a path that offers `formats`."""
    return FormatParameter("format", "The format of the answer; where it is given, Accept is ignored.", formats)


def fields(query_string: bytes, names: Sequence[str]) -> dict[str, str]:
    """The given parameters, decoded.

    Raises:
        Problem: a parameter is not in `names`, or is given twice.
    """
    allowed = ", ".join(names) or "no parameter"
    try:
        # guard: number of parameters
        pairs = parse_qsl(query_string.decode("latin-1"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError as error:
        raise invalid_parameter("", f"more than {MOST_FIELDS} parameters.", allowed) from error
    found: dict[str, str] = {}
    for name, value in pairs:
        # guard: parameters are known
        if name not in names:
            raise invalid_parameter(without_tokens(name)[:BRIEF], f"there is no parameter {brief(name)} here.", allowed)
        # guard: parameters come once
        if name in found:
            raise invalid_parameter(name, f"{name} is given more than once.", "once")
        found[name] = value
    return found


def brief(text: str) -> str:
    """A value as problems show it: without tokens, and not too long."""
    text = without_tokens(text)
    return ascii(text) if len(text) <= BRIEF else f"{text[:BRIEF]!a} and more"


def refuse_parameters(query_string: bytes) -> None:
    """Refuse every parameter, for paths that take none.

    Raises:
        Problem: a parameter is given.
    """
    fields(query_string, [])
