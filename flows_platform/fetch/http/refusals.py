"""What an answer without the records means: come back later, or change something. Reads no socket."""

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

from lxml import etree
from pydantic import Field

from flows_platform.declared import Code, Declared
from flows_platform.domain.errors import NoRecords, PlatformError, SourceRefused, SourceUnavailable
from flows_platform.formats.protocol.envelope import ErrorDocument
from flows_platform.formats.xml.elements import drop_namespaces, nested_record

BODY_BYTES = 1 << 16  # of an error's body, at most
DETAIL = 500  # characters of it in a message
MAX_WAIT = 300.0  # seconds; a server may not park us for hours
TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
OK = 200
BAD_REQUEST = 400  # the least status of an error
NUMBER = re.compile(r"[0-9]+(?:\.[0-9]{1,9})?", re.ASCII)
# No API asks to wait ten years: a larger number is an instant, in seconds since 1970, or in milliseconds where it is a
# thousand times larger still.
LONGEST_SPAN = 10 * 366 * 86_400
FIRST_MILLISECONDS = 100_000_000_000


class Wait(Declared):
    """Which answers ask to come back later."""

    statuses: tuple[int, ...] = Field(tuple(sorted(TRANSIENT_STATUSES)), description="HTTP statuses that mean wait.")
    headers: tuple[str, ...] = Field(
        ("Retry-After",), description="Headers that may hold the seconds; the first counts."
    )
    pause: float | None = Field(None, ge=0, description="Seconds to wait if no header names any.")
    longest: float = Field(MAX_WAIT, gt=0, description="Longest wait in seconds, even if a header names more.")


USUAL_WAIT = Wait()


class NothingCode(Declared):
    """A code of the API's error documents that means that there are no records."""

    code: Code = Field(description="The code, as `errors.code` finds it.")


MISSING: Literal["missing"] = "missing"

# An answer that means no records, as a YAML lists it.
NothingAnswer = Literal["empty", "missing", "null"] | int | NothingCode | None


@dataclass(frozen=True, slots=True)
class Nothing:
    """Which answers mean that a range has no records.

    `statuses` do by themselves, and so does an `empty` body. `members` says what the array of records may be: `missing`
    or `null`. Error codes that mean it are declared with the error document; `refused` says that they may come with the
    status of an error.
    """

    statuses: frozenset[int] = frozenset()
    empty: bool = False
    members: frozenset[str] = frozenset()
    refused: bool = True

    @property
    def without_refusals(self) -> "Nothing":
        """The same where the status of an error never means it."""
        statuses = frozenset(status for status in self.statuses if status < BAD_REQUEST)
        return replace(self, statuses=statuses, refused=False)

    @classmethod
    def of(cls, answers: Sequence[NothingAnswer]) -> "Nothing":
        """The answers as a YAML lists them, where null is written as a text or as itself."""
        names = {answer or "null" for answer in answers if answer is None or isinstance(answer, str)}
        statuses = frozenset(answer for answer in answers if isinstance(answer, int))
        return cls(statuses, empty="empty" in names, members=frozenset(names - {"empty"}))

    def require_some(self, status: int) -> None:
        """Stop at an answer whose status means that there are no records.

        Raises:
            NoRecords: the status does.
        """
        if status in self.statuses:
            raise NoRecords(f"the answer's status is {status}, declared to mean that there are no records.")


@dataclass(frozen=True, slots=True)
class Refusals:
    """How an API refuses.

    `waiting` says what asks to come back: the wait in seconds is in the first of its headers that has one, or `pause`.
    `message_header` holds the reason where the body does not; `document` is the form of the API's error documents.
    `nothing` lists the answers that mean that there are no records, `good` the statuses of all others. With
    `plain_names`, XML names are read without their namespace. `now` gives the seconds since 1970.
    """

    waiting: Wait = USUAL_WAIT
    message_header: str | None = None
    document: ErrorDocument | None = None
    nothing: Nothing = Nothing()
    plain_names: bool = False
    good: frozenset[int] = frozenset({OK})
    now: Callable[[], float] = field(default=time.time, compare=False)

    def with_nothing(self, answers: Sequence[NothingAnswer]) -> "Refusals":
        """The same API where other answers mean that there are no records."""
        codes = frozenset(answer.code for answer in answers if isinstance(answer, NothingCode))
        document = self.document.with_nothing(codes) if self.document else None
        return replace(self, document=document, nothing=Nothing.of(answers))

    def is_good(self, status: int) -> bool:
        """Whether an answer of that status is records, or says that there are none."""
        return status in self.good or status in self.nothing.statuses

    def error(self, url: str, status: int, headers: Mapping[str, str], body: bytes) -> PlatformError:
        """The error for an answer whose status is not 200; the message names `url`."""
        found = self._error_document(headers.get("Content-Type", ""), body)
        detail = headers.get(self.message_header or "", "") or _problem(headers, body) or (str(found) if found else "")
        message = f"{url} answered {status}{detail and f': {detail[:DETAIL].rstrip(".")}'}."
        if isinstance(found, NoRecords) and self.nothing.refused:
            return NoRecords(message)
        # guard: statuses that may pass
        if status in self.waiting.statuses or isinstance(found, SourceUnavailable):
            return SourceUnavailable(message, retry_after=self.wait(headers))
        remedy = MAY_BE_NOTHING.get(status, "") if self.nothing.refused else ""
        return SourceRefused(message, remedy=remedy.format(status))

    def wait(self, headers: Mapping[str, str]) -> float | None:
        """The seconds that the source asks to wait, at most `longest`.

        A header holds seconds, an instant (in seconds or milliseconds since 1970, or in ISO 8601), or an HTTP date
        (RFC 9110, 10.2.3). An instant that has passed asks for no wait.
        """
        asked = self.asked_wait(headers)
        return self.waiting.pause if asked is None else asked

    def asked_wait(self, headers: Mapping[str, str]) -> float | None:
        """As `wait`, where a header asks for it."""
        for name in self.waiting.headers:
            seconds = self._seconds(headers.get(name, "").strip())
            if seconds is not None:
                # guard: capped Retry-After
                # guard: waits are capped
                return min(max(seconds, 0.0), self.waiting.longest)
        return None

    def _seconds(self, value: str) -> float | None:
        """The wait that a header's value asks for; None where it asks for none."""
        if NUMBER.fullmatch(value):
            number = float(value)
            if number <= LONGEST_SPAN:
                return number or None
            return (number / 1000 if number >= FIRST_MILLISECONDS else number) - self.now()
        instant = _instant(value)
        return instant.timestamp() - self.now() if instant else None

    def _error_document(self, content_type: str, body: bytes) -> PlatformError | None:
        """The error that the body declares, if it is an error document."""
        if self.document is None:
            return None
        try:
            if "json" in content_type.lower():
                value = json.loads(body)
                return self.document.error(None, value) if isinstance(value, dict) else None
            root = etree.fromstring(body, etree.XMLParser(no_network=True, load_dtd=False, resolve_entities=False))
            if self.plain_names:
                drop_namespaces([root])
            return self.document.error(str(root.tag), nested_record(root))
        except (ValueError, RecursionError, etree.XMLSyntaxError):
            return None


USUAL = Refusals()
EMPTY_STATUSES = (204, 205, 404, 410)  # by which some APIs say that there are no records
MAY_BE_NOTHING = dict.fromkeys(
    EMPTY_STATUSES, "Check the URL; where this status means that there are no records, declare `nothing: [{}]`."
)


def _instant(value: str) -> datetime | None:
    """The instant of an HTTP date or an ISO 8601 text, in UTC if it names no zone; None if it is neither."""
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        with suppress(ValueError, OverflowError):
            instant = parse(value)
            return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return None


def _problem(headers: Mapping[str, str], body: bytes) -> str:
    """The `detail` of a problem document (RFC 9457), if the body is one."""
    if "json" not in headers.get("Content-Type", "").lower():
        return ""
    try:
        problem = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return str(problem.get("detail", "")) if isinstance(problem, dict) else ""
