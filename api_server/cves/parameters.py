"""The query strings of CVEs: every parameter once, in exactly the form declared here. OpenAPI is made from it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from api_server.http.parameters import IntegerParameter, Parameter, brief, fields, format_parameter
from api_server.http.problems import invalid_parameter
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.sources.nvd_cves import schema
from flows_platform.sources.nvd_cves.cve_id import GRAMMAR, PATTERN, is_cve_id
from flows_platform.sources.nvd_cves.filters import CveFilter

FORMATS = (WireFormat.JSON, WireFormat.CSV)
MOST = 1000
USUAL = 100
LONGEST_KEYWORD = 200
SCORE = re.compile(r"10(\.0)?|[0-9](\.[0-9])?")
# No description holds control characters, and PostgreSQL refuses NUL.
KEYWORD = re.compile(f"[^\\x00-\\x1f\\x7f]{{1,{LONGEST_KEYWORD}}}")
DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
# RFC 3339, with its capitals.
TIME = re.compile(f"({DAY.pattern}T[0-9]{{2}}:[0-9]{{2}}):([0-9]{{2}})(\\.[0-9]+)?(Z|[+-][0-9]{{2}}:[0-9]{{2}})")
LEAP_SECOND = "60"
FIRST, LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ReadParameter[T]:
    """A parameter whose `read` returns its value, or None for an invalid text."""

    name: str
    description: str
    allowed: str
    schema: dict[str, Any]
    read: Callable[[str], T | None]

    def parse(self, text: str) -> T:
        """The value.

        Raises:
            Problem: the text is something else.
        """
        value = self.read(text)
        if value is None:
            raise invalid_parameter(self.name, f"{self.name} is {brief(text)}.", self.allowed)
        return value


def _id(name: str, description: str) -> ReadParameter[str]:
    form = {"type": "string", "pattern": f"^{PATTERN}$"}
    return ReadParameter(name, description, GRAMMAR, form, lambda text: text if is_cve_id(text) else None)


def _one_of(name: str, description: str, words: Sequence[str]) -> ReadParameter[str]:
    form = {"type": "string", "enum": list(words)}
    return ReadParameter(name, description, ", ".join(words), form, lambda text: text if text in words else None)


def _score(name: str, description: str) -> ReadParameter[float]:
    form = {"type": "string", "pattern": f"^({SCORE.pattern})$"}
    allowed = "a score from 0 to 10, with at most one decimal"
    return ReadParameter(name, description, allowed, form, lambda text: float(text) if SCORE.fullmatch(text) else None)


def _read_day(text: str) -> datetime | None:
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC) if DAY.fullmatch(text) else None
    except ValueError:
        return None


def _read_time(text: str) -> datetime | None:
    """To the microsecond, rounded down; a leap second counts as the second before it."""
    match = TIME.fullmatch(text)
    if match is None:
        return None
    minute, second, fraction, zone = match.groups()
    second = "59" if second == LEAP_SECOND else second
    try:
        found = datetime.fromisoformat(f"{minute}:{second}{(fraction or '')[:7]}{zone}")
    except ValueError:
        return None
    try:
        return found.astimezone(UTC)
    except OverflowError:  # hours before the year 1 or after the year 9999
        return FIRST if found.year == FIRST.year else LAST


ID = _id("id", "The CVE with this id.")
KEYWORD_PARAMETER = ReadParameter(
    "keyword",
    "Only CVEs whose English description holds this text; ASCII letters in either case.",
    f"a text of 1 to {LONGEST_KEYWORD} characters without control characters",
    {"type": "string", "minLength": 1, "maxLength": LONGEST_KEYWORD, "pattern": f"^{KEYWORD.pattern}$"},
    lambda text: text if KEYWORD.fullmatch(text) else None,
)
SEVERITY = _one_of("severity", f"Only CVEs of this severity. {schema.METRIC_RULE}", schema.SEVERITIES)
MIN_SCORE = _score("min_score", "Only CVEs with at least this base score.")
MAX_SCORE = _score("max_score", "Only CVEs with at most this base score.")
MODIFIED_SINCE = ReadParameter(
    "modified_since",
    "Only CVEs that NVD changed at this time or later.",
    "a time such as 2024-01-31T12:00:00Z (RFC 3339, %2B for + in a zone)",
    {"type": "string", "format": "date-time"},
    _read_time,
)
ATTACK_VECTOR = _one_of("attack_vector", "Only CVEs with this attack vector.", schema.ATTACK_VECTORS)
CURSOR = _id("cursor", "Only CVEs after this one: the `next` of the page before. CVEs are in order of year and number.")
LIMIT = IntegerParameter("limit", f"The most CVEs of the answer; {USUAL} by default.", 1, MOST)
MIN_DATE = ReadParameter(
    "min_date",
    "Only CVEs published on this day (UTC) or later.",
    "a day such as 2024-01-31",
    {"type": "string", "format": "date"},
    _read_day,
)
FORMAT = format_parameter(FORMATS)

# Their names are those of `CveFilter`.
FILTERS: tuple[ReadParameter[Any], ...] = (
    ID,
    KEYWORD_PARAMETER,
    SEVERITY,
    MIN_SCORE,
    MAX_SCORE,
    MODIFIED_SINCE,
    ATTACK_VECTOR,
)
LIST_PARAMETERS: tuple[Parameter, ...] = (*FILTERS, CURSOR, LIMIT, FORMAT)
ONE_PARAMETERS: tuple[Parameter, ...] = (FORMAT,)
TOTALS_PARAMETERS: tuple[Parameter, ...] = (MIN_DATE, FORMAT)


@dataclass(frozen=True, slots=True)
class CveRequest:
    """What a query string asks for; `given` is as it was written, the format is None where Accept decides."""

    given: Mapping[str, str]
    filter: CveFilter
    after: str | None
    limit: int
    min_date: datetime | None
    wire_format: WireFormat | None


def parse_cves(query_string: bytes, parameters: Sequence[Parameter]) -> CveRequest:
    """Read the query string of a path that takes `parameters`.

    Raises:
        Problem: a parameter is unknown, repeated or not in its grammar, or the scores are the wrong way round.
    """
    given = fields(query_string, [parameter.name for parameter in parameters])
    wanted = CveFilter(**{one.name: one.parse(given[one.name]) for one in FILTERS if one.name in given})
    if wanted.min_score is not None and wanted.max_score is not None and wanted.min_score > wanted.max_score:
        detail = f"{MIN_SCORE.name} is {wanted.min_score}, above {MAX_SCORE.name}."
        raise invalid_parameter(MIN_SCORE.name, detail, f"at most {MAX_SCORE.name}, here {wanted.max_score}")
    return CveRequest(
        given,
        wanted,
        CURSOR.parse(given[CURSOR.name]) if CURSOR.name in given else None,
        LIMIT.parse(given[LIMIT.name]) if LIMIT.name in given else USUAL,
        MIN_DATE.parse(given[MIN_DATE.name]) if MIN_DATE.name in given else None,
        FORMAT.parse(given[FORMAT.name]) if FORMAT.name in given else None,
    )


def parse_id(text: str) -> str:
    """The id in a path.

    Raises:
        Problem: the text is not a CVE id.
    """
    return ID.parse(text)
