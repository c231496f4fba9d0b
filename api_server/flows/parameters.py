"""The grammar of the query string: each parameter once, in exactly the form declared here. OpenAPI is made from it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl

from api_server.flows.selection import Query
from api_server.flows.streams import Proof
from api_server.http.problems import invalid_parameter
from api_server.http.tokens import without_tokens
from flows_platform.domain.schema import INT64_MAX
from flows_platform.formats.protocol.names import DIGEST_PARAMETER, FOOTER_PARAMETER, WireFormat

# int() would also take `1_000`, ` 7`, `+7` and digits of other scripts.
# guard: numbers are ASCII digits
INTEGER = re.compile("0|[1-9][0-9]{0,18}")
FLAG = "1"
MOST_FIELDS = 32
BRIEF = 60  # characters of a value that a problem shows


class Parameter(Protocol):
    """What a parameter tells about itself; `schema` is JSON Schema."""

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
            Problem: the text is something else.
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
            Problem: there is no such format here.
        """
        for wire_format in self.formats:
            if text == wire_format:
                return wire_format
        raise invalid_parameter(self.name, f"{self.name} is {brief(text)}.", self.allowed)


@dataclass(frozen=True, slots=True)
class FlagParameter:
    """Something that is asked for, or not named at all: `0` would make two ways to say the same."""

    name: str
    description: str

    @property
    def allowed(self) -> str:
        return f"{FLAG}, or left out"

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": [FLAG]}

    def parse(self, text: str) -> bool:
        """True.

        Raises:
            Problem: the text is anything but 1.
        """
        if text != FLAG:
            raise invalid_parameter(self.name, f"{self.name} is {brief(text)}.", self.allowed)
        return True


AFTER = IntegerParameter(
    "scanned_after", "Only rows with a later time, in whole seconds; exclusive. Without it, from the first row.", 0
)
BEFORE = IntegerParameter(
    "scanned_before",
    "Only rows up to this time, in whole seconds; inclusive, at least scanned_after. Equal bounds hold no row.",
    0,
)
LIMIT = IntegerParameter("limit", "At most so many rows, the first in id order.", 1)
FOOTER = FlagParameter(
    FOOTER_PARAMETER,
    "Ends NDJSON, CSV and Arrow with the count of records too; plain readers take it for one more row.",
)
DIGEST = FlagParameter(
    DIGEST_PARAMETER,
    "Adds the digest of the rows to the footer, and a footer to every format. Costs the server about 1 µs a row.",
)


def format_parameter(formats: Sequence[WireFormat]) -> FormatParameter:
    """The `format` parameter of a path that offers `formats`."""
    return FormatParameter("format", "The format of the answer; where it is given, Accept is not looked at.", formats)


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """What a query string asks for; no format where it is left to Accept."""

    query: Query
    wire_format: WireFormat | None = None
    proof: Proof = field(default_factory=Proof)


def stream_parameters(formats: Sequence[WireFormat]) -> tuple[Parameter, ...]:
    """All parameters of a stream."""
    return AFTER, BEFORE, LIMIT, format_parameter(formats), FOOTER, DIGEST


def parse_stream(query_string: bytes, formats: Sequence[WireFormat]) -> StreamRequest:
    """What a stream is asked for.

    Raises:
        Problem: a parameter is unknown, repeated or not in its grammar, or the bounds are the wrong way round.
    """
    given = fields(query_string, [parameter.name for parameter in stream_parameters(formats)])
    after, before, limit = (_integer(parameter, given) for parameter in (AFTER, BEFORE, LIMIT))
    # guard: bounds the right way round
    if after is not None and before is not None and after > before:
        raise invalid_parameter(
            AFTER.name, f"{AFTER.name} is {after}, later than {BEFORE.name}.", f"at most {BEFORE.name}, here {before}"
        )
    parameter = format_parameter(formats)
    wire_format = parameter.parse(given[parameter.name]) if parameter.name in given else None
    proof = Proof(footer=_flag(FOOTER, given), digest=_flag(DIGEST, given))
    return StreamRequest(Query(after, before, limit), wire_format, proof)


def refuse_parameters(query_string: bytes) -> None:
    """For paths without parameters.

    Raises:
        Problem: there is one.
    """
    fields(query_string, [])


def _integer(parameter: IntegerParameter, given: Mapping[str, str]) -> int | None:
    return parameter.parse(given[parameter.name]) if parameter.name in given else None


def _flag(parameter: FlagParameter, given: Mapping[str, str]) -> bool:
    return parameter.name in given and parameter.parse(given[parameter.name])


def fields(query_string: bytes, names: Sequence[str]) -> dict[str, str]:
    """The parameters that are given, decoded.

    Raises:
        Problem: one is none of `names`, or given twice.
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
    """A value as a problem shows it."""
    text = without_tokens(text)
    return ascii(text) if len(text) <= BRIEF else f"{text[:BRIEF]!a} and more"
