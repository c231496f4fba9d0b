"""The parameters of requests for archived records."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from api_server.http.parameters import FlagParameter, IntegerParameter, Parameter, brief, fields
from api_server.http.problems import invalid_parameter
from flows_platform.formats.protocol.names import DIGEST_PARAMETER, FOOTER_PARAMETER

A_MINUTE = timedelta(minutes=1)
LONGEST = timedelta(days=31)
YEARS = range(1000, 9999)  # years of four digits, whose texts sort by time
POSITION = re.compile(r"[0-9]{4}(/[0-9]{2}){4}/[A-Za-z0-9._:-]{4,200}")
MOST_ALERTS, USUAL_ALERTS = 10_000, 1_000


@dataclass(frozen=True, slots=True)
class InstantParameter:
    """A time in ISO 8601; without a time zone it is UTC."""

    name: str
    description: str
    whole_minutes: bool = False

    @property
    def allowed(self) -> str:
        minutes = ", at a whole minute" if self.whole_minutes else ""
        return f"a time in ISO 8601 such as 2024-03-01T09:00:00Z{minutes}; without a time zone it is UTC"

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "string", "examples": ["2024-03-01T09:00:00Z"]}

    def parse(self, text: str) -> datetime:
        """The time in UTC.

        Raises:
            Problem: the text is not such a time.
        """
        try:
            found = datetime.fromisoformat(text)
            instant = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            instant = None
        # guard: a range has whole minutes
        if instant is None or instant.year not in YEARS or (self.whole_minutes and floor(instant) != instant):
            raise invalid_parameter(self.name, f"{self.name} is {brief(text)}.", self.allowed)
        return instant


START = InstantParameter("start", "Records created at this time or later.", whole_minutes=True)
END = InstantParameter("end", "Records created before this time.", whole_minutes=True)
FOOTER = FlagParameter(FOOTER_PARAMETER, "Adds a last line with the number of records.")
DIGEST = FlagParameter(DIGEST_PARAMETER, "Adds a digest of the lines to that last line.")
CHANGED_AFTER = IntegerParameter("after", "Changes with a higher number than this; by default all.", 0)
ALERTS_START = InstantParameter("start", "Alerts created after the minute of this time.")
ALERTS_END = InstantParameter("end", "Alerts created in a minute that begins before this time.")
LIMIT = IntegerParameter("limit", f"Most alerts of the answer; by default {USUAL_ALERTS}.", 1, MOST_ALERTS)
RANGE: tuple[Parameter, ...] = (START, END, FOOTER, DIGEST)


@dataclass(frozen=True, slots=True)
class PositionParameter:
    """The position of a record, which is its minute and id: 2024/03/01/12/30/ID."""

    name: str
    description: str
    allowed: str = "the `next` of the previous answer"

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": POSITION.pattern}

    def parse(self, text: str) -> str:
        """The position itself.

        Raises:
            Problem: the text is not a position.
        """
        if not POSITION.fullmatch(text):
            raise invalid_parameter(self.name, f"{self.name} is {brief(text)}.", self.allowed)
        return text


AFTER = PositionParameter("after", "The `next` of the previous answer.")
ALERTS: tuple[Parameter, ...] = (ALERTS_START, ALERTS_END, AFTER, LIMIT)


@dataclass(frozen=True, slots=True)
class Range:
    """A half-open range of minutes."""

    start: datetime
    end: datetime


def floor(instant: datetime) -> datetime:
    """The start of the instant's minute."""
    return instant.replace(second=0, microsecond=0)


def records_asked(query_string: bytes) -> tuple[Range, bool, bool]:
    """The requested range of records, whether a footer is requested, and whether a digest is.

    Raises:
        Problem: a parameter is missing, unknown, repeated or not valid.
    """
    given = fields(query_string, [parameter.name for parameter in RANGE])
    asked = Range(_required(START, given), _required(END, given))
    _require_order(asked)
    footer, digest = (flag.name in given and flag.parse(given[flag.name]) for flag in (FOOTER, DIGEST))
    return asked, footer, digest


def alerts_asked(query_string: bytes) -> tuple[Range, int, str]:
    """The requested range of alerts, their limit, and the position after which to continue, which may be empty.

    In the request both bounds are exclusive, in whole minutes; the range is half-open.

    Raises:
        Problem: a parameter is missing, unknown, repeated or not valid, or the range is too long.
    """
    given = fields(query_string, [parameter.name for parameter in ALERTS])
    start, end = _required(ALERTS_START, given), _required(ALERTS_END, given)
    _require_order(Range(start, end))
    # guard: a range of alerts is bounded
    if end - start > LONGEST:
        raise invalid_parameter(
            ALERTS_END.name, "The range is too long.", f"at most {LONGEST.days} days after {ALERTS_START.name}"
        )
    limit = LIMIT.parse(given[LIMIT.name]) if LIMIT.name in given else USUAL_ALERTS
    last = floor(end) if floor(end) == end else floor(end) + A_MINUTE
    first = floor(start) + A_MINUTE
    return Range(first, max(first, last)), limit, AFTER.parse(given[AFTER.name]) if AFTER.name in given else ""


def _required(parameter: InstantParameter, given: Mapping[str, str]) -> datetime:
    if parameter.name not in given:
        raise invalid_parameter(parameter.name, f"{parameter.name} is missing.", parameter.allowed)
    return parameter.parse(given[parameter.name])


def _require_order(asked: Range) -> None:
    if asked.start > asked.end:
        raise invalid_parameter(START.name, "start is later than end.", "at most the end")
