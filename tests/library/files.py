"""Stand-ins of files, whole lists, and ranges without an end."""

import gzip
import json
from base64 import b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from flows_platform.domain.windows import Window
from tests.fakes.serving import Answer
from tests.library.serving import (
    SECRET,
    TIMES,
    Range,
    Row,
    StandIn,
    answered,
    epoch,
    events,
    header,
    iso,
    numbered,
    paged,
    whole,
)

LATER = timedelta(seconds=90)  # from a request to the receipt of its line
LISTED = 40  # entries of a list without a range
OAI = "http://www.openarchives.org/OAI/2.0/"


def arxiv(request: Range) -> Answer:
    asked = dict(request.asked.parameters)
    assert asked.pop("verb") == "ListRecords"
    if token := asked.get("resumptionToken", ""):
        first, last, skipped = token.split("|")
        if len(asked) > 1:
            return _oai('<error code="badArgument">resumptionToken is exclusive</error>')
    else:
        first, last, skipped = asked["from"], asked["until"], "0"
        assert asked["metadataPrefix"] == "arXiv"
    end = datetime.fromisoformat(last).replace(tzinfo=UTC) + timedelta(days=1)
    rows = numbered(datetime.fromisoformat(first).replace(tzinfo=UTC), end)
    if not rows:
        return _oai('<error code="noRecordsMatch">no matching records</error>')
    some, more = paged(rows, int(skipped), 20)
    records = "".join(
        f"<record><header><identifier>oai:arXiv.org:{number}</identifier><datestamp>{time:%Y-%m-%d}</datestamp>"
        f"<setSpec>cs</setSpec></header><metadata><arXiv xmlns='http://arxiv.org/OAI/arXiv/'><id>{number}</id>"
        f"<created>2024-02-28</created><title>On {number}</title></arXiv></metadata></record>"
        for number, time in some
    )
    onward = f"{first}|{last}|{int(skipped) + 20}" if more else ""
    return _oai(f'<ListRecords>{records}<resumptionToken cursor="{skipped}">{onward}</resumptionToken></ListRecords>')


def _oai(text: str) -> Answer:
    body = f'<OAI-PMH xmlns="{OAI}"><responseDate>2024-03-05T00:00:00Z</responseDate>{text}</OAI-PMH>'
    return Answer(200, {"Content-Type": "text/xml; charset=utf-8"}, body.encode())


def arxiv_rows(window: Window) -> Sequence[Row]:
    found = numbered(window.start, window.end)
    return [
        (f"oai:arXiv.org:{number}", time.replace(hour=0, minute=0, second=0, microsecond=0)) for number, time in found
    ]


def at_start(identify: Callable[[int], Any], count: int = LISTED) -> Callable[[Window], Sequence[Row]]:
    """The rows of a window that holds a whole list."""
    return lambda window: [(identify(number), window.start) for number in range(count)]


def logpull(request: Range) -> Answer:
    first, last = (datetime.fromisoformat(request.asked.parameters[name]) for name in ("start", "end"))
    if last - first > timedelta(hours=1):
        return answered({"success": False, "errors": [{"code": 1010, "message": "invalid time range"}]}, status=400)
    assert "RayID" in request.asked.parameters["fields"].split(",")
    lines = [
        {"RayID": f"r{number}", "EdgeStartTimestamp": int(time.timestamp()) * 10**9 + 7, "EdgeResponseStatus": 200}
        for number, time in numbered(first - LATER, last - LATER)
    ]
    return Answer(200, {"Content-Type": "text/plain; charset=utf-8"}, _lines(lines))


def logpull_rows(window: Window) -> list[Row]:
    return [(f"r{number}", window.start) for number, _ in numbered(window.start - LATER, window.end - LATER)]


def epss(request: Range) -> Answer:
    some, _ = paged(range(LISTED), request.number("offset"), min(request.number("limit"), 15))
    data = [
        {
            "cve": f"CVE-2024-{number:04}",
            "epss": f"0.00{number:02}10000",
            "percentile": "0.5",
            "date": request.asked.parameters["date"],
        }
        for number in some
    ]
    around = {"status": "OK", "status-code": 200, "total": LISTED, "offset": request.number("offset"), "limit": 15}
    return answered(around | {"data": data})


def kev(_request: Range) -> Answer:
    entries = [
        {"cveID": f"CVE-2024-{number:04}", "dateAdded": "2024-02-29", "dueDate": "2024-03-21", "cwes": ["CWE-78"]}
        for number in range(LISTED)
    ]
    return answered({"catalogVersion": "2024.03.01", "count": LISTED, "vulnerabilities": entries})


def urlhaus(_request: Range) -> Answer:
    head = ["################", "# URLhaus Database Dump (CSV - recent URLs only)", "#", "# id,dateadded,url"]
    rows = [
        ",".join(f'"{value}"' for value in (number, "2024-03-01 00:12:05", f"http://x.example/a#{number}", *[""] * 6))
        for number in range(LISTED)
    ]
    return Answer(200, {"Content-Type": "text/csv"}, "".join(f"{line}\r\n" for line in head + rows).encode())


def zendesk(request: Range) -> Answer:
    first = request.number("start_time")
    rows = [(number, epoch(time)) for number, time in enumerate(TIMES) if epoch(time) >= first]
    some, more = paged(rows, 0, 20)
    tickets = [{"id": number, "generated_timestamp": second, "status": "open", "tags": []} for number, second in some]
    link = request.link(start_time=some[-1][1] if some else first)
    return answered({"tickets": tickets, "count": len(tickets), "end_of_stream": not more, "next_page": link})


def gharchive(request: Range) -> Answer:
    hours = {f"/{hour:%Y-%m-%d}-{hour.hour}.json.gz": hour for hour in _hours()}
    hour = hours.get(request.asked.path)
    if hour is None:
        return Answer(404, {"Content-Type": "application/xml"}, b"<Error><Code>NoSuchKey</Code></Error>")
    lines = [
        {"id": f"{number}", "created_at": iso(time - timedelta(minutes=50)), "type": "PushEvent", "public": True}
        for number, time in numbered(hour, hour + timedelta(hours=1))
    ]
    members = gzip.compress(_lines(lines[:1])) + gzip.compress(_lines(lines[1:]))
    return Answer(200, {"Content-Type": "application/gzip"}, members)


def gharchive_rows(window: Window) -> list[Row]:
    return [(f"{number}", window.start) for number, _ in numbered(window.start, window.end)]


def _lines(records: Sequence[object]) -> bytes:
    return "".join(f"{json.dumps(record)}\n" for record in records).encode()


def _hours() -> list[datetime]:
    first = datetime(2024, 2, 29, 12, tzinfo=UTC)
    return [first + timedelta(hours=hour) for hour in range(48)]


FILES = {
    "arxiv_records": StandIn(("https://oaipmh.arxiv.org",), arxiv, arxiv_rows),
    "cisa_kev": StandIn(("https://www.cisa.gov",), kev, at_start(lambda number: f"CVE-2024-{number:04}")),
    "cloudflare_logpull": StandIn(
        ("https://api.cloudflare.com",),
        logpull,
        logpull_rows,
        ("CLOUDFLARE_API_TOKEN",),
        header("authorization", f"Bearer {SECRET}"),
        answered({"success": False, "errors": [{"code": 10000, "message": "Authentication error"}]}, status=403),
        "10000: Authentication error",
    ),
    "epss_scores": StandIn(("https://api.first.org",), epss, at_start(lambda number: f"CVE-2024-{number:04}")),
    "gharchive_events": StandIn(("https://data.gharchive.org",), gharchive, gharchive_rows),
    "urlhaus_urls": StandIn(
        ("https://urlhaus-api.abuse.ch",),
        urlhaus,
        at_start(lambda number: number),
        ("URLHAUS_AUTH_KEY",),
        lambda asked: asked.parameters.get("auth-key") == SECRET,
        Answer(401, {"Content-Type": "text/plain"}, b"auth-key is missing or wrong"),
        "answered 401",
    ),
    "zendesk_tickets": StandIn(
        ("https://example.zendesk.com",),
        zendesk,
        events(lambda number: number, whole),
        ("ZENDESK_USER", "ZENDESK_API_TOKEN"),
        header("authorization", f"Basic {b64encode(f'{SECRET}:{SECRET}'.encode()).decode()}"),
        answered({"error": "Couldn't authenticate you"}, status=401),
        "Couldn't authenticate you",
    ),
}
