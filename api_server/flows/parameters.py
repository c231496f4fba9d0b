"""The query string of a stream: every parameter once, in exactly the form declared here. OpenAPI is made from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from api_server.flows.selection import Query
from api_server.flows.streams import Proof
from api_server.http.parameters import FlagParameter, IntegerParameter, Parameter, fields, format_parameter
from api_server.http.problems import invalid_parameter
from flows_platform.formats.protocol.names import DIGEST_PARAMETER, FOOTER_PARAMETER, WireFormat

AFTER = IntegerParameter(
    "scanned_after", "Only rows with a later time, in whole seconds; exclusive. Without it, from the first row.", 0
)
BEFORE = IntegerParameter(
    "scanned_before",
    "Only rows up to this time, in whole seconds; inclusive, at least scanned_after. Equal bounds hold no row.",
    0,
)
LIMIT = IntegerParameter("limit", "The most rows of the answer; the first ones in id order.", 1)
FOOTER = FlagParameter(
    FOOTER_PARAMETER,
    "Ends NDJSON, CSV and Arrow with the count of records too; plain readers take it for one more row.",
)
DIGEST = FlagParameter(
    DIGEST_PARAMETER,
    "Adds the digest of the rows to the footer, and a footer to every format. Costs the server about 1 µs a row.",
)


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """What a query string asks for; the format is None where Accept decides."""

    query: Query
    wire_format: WireFormat | None = None
    proof: Proof = field(default_factory=Proof)


def stream_parameters(formats: Sequence[WireFormat]) -> tuple[Parameter, ...]:
    """All parameters of a stream."""
    return AFTER, BEFORE, LIMIT, format_parameter(formats), FOOTER, DIGEST


def parse_stream(query_string: bytes, formats: Sequence[WireFormat]) -> StreamRequest:
    """Read the query string of a stream.

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


def _integer(parameter: IntegerParameter, given: Mapping[str, str]) -> int | None:
    return parameter.parse(given[parameter.name]) if parameter.name in given else None


def _flag(parameter: FlagParameter, given: Mapping[str, str]) -> bool:
    return parameter.name in given and parameter.parse(given[parameter.name])
