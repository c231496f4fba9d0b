"""Stand-ins of the library's APIs: their documented names, bounds, paging and time forms, with few records."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from tests.fakes.serving import Answer, Asked, VendorServer

DAY = datetime(2024, 3, 1, tzinfo=UTC)
# Around two days, on both midnights, and a millisecond before the second.
TIMES = sorted(
    [DAY + timedelta(minutes=47, seconds=1) * step for step in range(-20, 60)]
    + [DAY, DAY + timedelta(days=1), DAY + timedelta(days=1, milliseconds=-1)]
)


def epoch(instant: datetime) -> int:
    return int(instant.timestamp())


def iso(instant: datetime) -> str:
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Range:
    """The events that a request asks for, each with its number."""

    asked: Asked
    origin: str

    def between(
        self, after: str, before: str, *, inclusive: bool = True, whole: bool = False
    ) -> list[tuple[int, datetime]]:
        first, last = self._instant(after), self._instant(before)
        found = []
        for number, time in enumerate(TIMES):
            compared = time.replace(microsecond=0) if whole else time
            if first <= compared < last or (inclusive and compared == last):
                found.append((number, time))
        return found

    def _instant(self, name: str) -> datetime:
        text = self.asked.parameters[name]
        return datetime.fromtimestamp(int(text), UTC) if text.isdecimal() else datetime.fromisoformat(text)

    def number(self, name: str, default: int = 0) -> int:
        return int(self.asked.parameters.get(name, default))

    def link(self, **changed: object) -> str:
        return f"{self.origin}{self.asked.path}?{urlencode(self.asked.parameters | changed)}"


def answered(document: object, headers: dict[str, str] | None = None, status: int = 200) -> Answer:
    return Answer(status, {"Content-Type": "application/json"} | (headers or {}), json.dumps(document).encode())


def paged(rows: Sequence[Any], first: int, size: int) -> tuple[Sequence[Any], bool]:
    return rows[first : first + size], first + size < len(rows)


def stripe(request: Range) -> Answer:
    rows = request.between("created[gte]", "created[lt]", inclusive=False, whole=True)[::-1]
    ids = [f"evt_{number}" for number, _ in rows]
    after = request.asked.parameters.get("starting_after")
    some, more = paged(rows, ids.index(after) + 1 if after else 0, min(request.number("limit"), 10))
    data = [
        {"id": f"evt_{number}", "object": "event", "created": epoch(time), "type": "charge.succeeded", "livemode": True}
        for number, time in some
    ]
    return answered({"object": "list", "has_more": more, "data": data})


def slack(request: Range) -> Answer:
    rows = request.between("oldest", "latest", whole=True)
    some, more = paged(rows, request.number("cursor"), 10)
    entries = [
        {"id": f"s{number}", "date_create": epoch(time), "action": "user_login", "actor": {"type": "user", "user": {}}}
        for number, time in some
    ]
    cursor = str(request.number("cursor") + 10) if more else ""
    return answered({"entries": entries, "response_metadata": {"next_cursor": cursor}})


def okta(request: Range) -> Answer:
    rows = request.between("since", "until", inclusive=False)
    some, _ = paged(rows, request.number("after"), 10)
    events = [
        {"uuid": f"o{number}", "published": iso(time), "eventType": "user.session.start", "target": [{"id": "t"}]}
        for number, time in some
    ]
    link = f'<{request.link(after=request.number("after") + 10)}>; rel="next"'
    return answered(events, {"X-Rate-Limit-Reset": "1"} | ({"Link": link} if some else {}))


def usgs(request: Range) -> Answer:
    rows = request.between("starttime", "endtime")
    features = [
        {
            "type": "Feature",
            "id": f"us{number}",
            "properties": {"time": int(time.timestamp() * 1000 + 0.5), "mag": 4.5, "tsunami": 0, "sig": 312},
            "geometry": {"type": "Point", "coordinates": [-117.5, 35.25, 8.0]},
        }
        for number, time in rows
    ]
    return answered({"type": "FeatureCollection", "metadata": {"count": len(rows)}, "features": features})


def pagerduty(request: Range) -> Answer:
    rows = request.between("since", "until", whole=True)
    some, more = paged(rows, request.number("offset"), min(request.number("limit"), 10))
    entries = [
        {"id": f"R{number}", "created_at": iso(time.replace(microsecond=0)), "type": "trigger_log_entry", "teams": []}
        for number, time in some
    ]
    around = {"limit": 10, "offset": request.number("offset"), "more": more, "total": len(rows)}
    return answered({"log_entries": entries} | around)


def gitlab(request: Range) -> Answer:
    rows = request.between("created_after", "created_before")
    some, more = paged(rows, request.number("cursor"), 10)
    events = [{"id": number, "author_id": 1, "created_at": iso(time), "details": {"a": "b"}} for number, time in some]
    link = f'<{request.link(cursor=request.number("cursor") + 10)}>; rel="next"'
    return answered(events, {"Link": link} if more else {})


def datadog(request: Range) -> Answer:
    rows = request.between("filter[from]", "filter[to]")
    some, more = paged(rows, request.number("page[cursor]"), 10)
    data = [
        {
            "id": f"d{number}",
            "type": "audit",
            "attributes": {"timestamp": iso(time), "tags": ["a"]},
        }
        for number, time in some
    ]
    after = request.number("page[cursor]") + 10
    onward = {"links": {"next": request.link(**{"page[cursor]": after})}, "meta": {"page": {"after": str(after)}}}
    return answered({"data": data} | (onward if more else {"meta": {"status": "done"}}))


def cloudflare(request: Range) -> Answer:
    rows = request.between("since", "before")
    some, _ = paged(rows, (request.number("page") - 1) * 10, 10)
    result = [
        {"id": f"c{number}", "when": iso(time), "action": {"type": "login", "result": True}, "metadata": {}}
        for number, time in some
    ]
    around = {
        "success": True,
        "errors": [],
        "messages": [],
        "result_info": {"page": request.number("page"), "count": len(some)},
    }
    return answered({"result": result} | around)


@dataclass(frozen=True)
class StandIn:
    """One API: its origin in the file, what it answers, the header that shows who asks, and its variables."""

    origin: str
    answer: Callable[[Range], Answer]
    header: tuple[str, str] | None = None
    variables: tuple[str, ...] = ()
    whole: bool = False  # its times are whole seconds


STAND_INS = {
    "stripe_events": StandIn(
        "https://api.stripe.com", stripe, ("authorization", "Bearer s3cr3t"), ("STRIPE_API_KEY",), whole=True
    ),
    "slack_audit_logs": StandIn(
        "https://api.slack.com", slack, ("authorization", "Bearer s3cr3t"), ("SLACK_AUDIT_TOKEN",), whole=True
    ),
    "okta_system_log": StandIn("https://example.okta.com", okta, ("authorization", "s3cr3t"), ("OKTA_AUTHORIZATION",)),
    "usgs_earthquakes": StandIn("https://earthquake.usgs.gov", usgs),
    "pagerduty_log_entries": StandIn(
        "https://api.pagerduty.com", pagerduty, ("authorization", "s3cr3t"), ("PAGERDUTY_AUTHORIZATION",), whole=True
    ),
    "gitlab_audit_events": StandIn("https://gitlab.example", gitlab, ("private-token", "s3cr3t"), ("GITLAB_TOKEN",)),
    "datadog_audit_events": StandIn(
        "https://api.datadoghq.com", datadog, ("dd-application-key", "s3cr3t"), ("DD_API_KEY", "DD_APP_KEY")
    ),
    "cloudflare_audit_logs": StandIn(
        "https://api.cloudflare.com", cloudflare, ("authorization", "Bearer s3cr3t"), ("CLOUDFLARE_API_TOKEN",)
    ),
}


class LibraryServer(VendorServer):
    """Answers as one of the stand-ins does, and refuses who does not show the secret."""

    stand_in: StandIn

    def answer(self, asked: Asked) -> Answer:
        header = self.stand_in.header
        if header and asked.headers.get(header[0]) != header[1]:
            return answered({"message": "who are you?"}, status=401)
        return self.stand_in.answer(Range(asked, self.origin))
