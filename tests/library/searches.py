"""Stand-ins of searches: a query that the author writes, sent as a body, a form or a text."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.fakes.serving import Answer, Asked
from tests.library.serving import (
    SECRET,
    Range,
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


def posted(request: Range) -> dict[str, Any]:
    """The JSON body."""
    assert request.asked.method == "POST"
    body: dict[str, Any] = json.loads(request.asked.body)
    return body


def datadog(request: Range) -> Answer:
    body = posted(request)
    rows = numbered(*(datetime.fromisoformat(body["filter"][name]) for name in ("from", "to")), inclusive=True)
    first = int(body["page"].get("cursor", 0))
    some, more = paged(rows, first, min(body["page"]["limit"], 3))
    data = [
        {"id": f"l{number}", "type": "log", "attributes": {"timestamp": iso(time), "service": "web", "tags": ["a:b"]}}
        for number, time in some
    ]
    onward = {"links": {"next": request.link()}, "meta": {"page": {"after": str(first + 3)}}} if more else {"meta": {}}
    return answered({"data": data} | onward)


def of_datadog(respond: Callable[[Range], Answer], prefix: str) -> StandIn:
    """One of Datadog's APIs: its two keys, and its events, whose ids begin with `prefix`."""
    return StandIn(
        ("https://api.datadoghq.com",),
        respond,
        events(lambda number: f"{prefix}{number}"),
        ("DD_API_KEY", "DD_APP_KEY"),
        lambda asked: (asked.headers.get("dd-api-key"), asked.headers.get("dd-application-key")) == (SECRET, SECRET),
        answered({"errors": ["Unauthorized"]}, status=403),
        "Unauthorized",
    )


def splunk(request: Range) -> Answer:
    form = request.asked.parameters
    assert request.asked.headers["content-type"] == "application/x-www-form-urlencoded"
    rows = request.between("earliest_time", "latest_time", inclusive=False)[::-1]
    lines: list[dict[str, Any]] = [
        {
            "preview": False,
            "offset": offset,
            "result": {"_bkt": "main~1", "_cd": f"1:{number}", "_time": time.isoformat()},
        }
        for offset, (number, time) in enumerate(rows)
    ]
    lines[-1]["lastrow"] = True
    if form["preview"] != "false":
        lines.insert(0, lines[0] | {"preview": True})
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    return Answer(200, {"Content-Type": "application/json; charset=UTF-8"}, text.encode())


def shodan(request: Range) -> Answer:
    found = re.search(r"after:(\S+) before:(\S+)", request.asked.parameters["query"])
    assert found
    first, last = (datetime.strptime(day, "%d/%m/%Y").replace(tzinfo=UTC) for day in found.groups())
    rows = numbered(first, last + timedelta(days=1))
    some, _ = paged(rows, 20 * (request.number("page") - 1), 20)
    matches = [
        {
            "_shodan": {"id": f"b{number}"},
            "timestamp": time.isoformat().partition("+")[0],
            "ip_str": "192.0.2.1",
            "port": 22,
        }
        for number, time in some
    ]
    return answered({"matches": matches, "total": len(rows)})


def cloudtrail(request: Range) -> Answer:
    assert request.asked.headers["x-amz-target"].endswith("CloudTrail_20131101.LookupEvents")
    assert request.asked.headers["content-type"] == "application/x-amz-json-1.1"
    body = posted(request)
    rows = numbered(
        *(datetime.fromtimestamp(body[name], UTC) for name in ("StartTime", "EndTime")), inclusive=True, seen=whole
    )[::-1]
    first = int(body.get("NextToken", 0))
    some, more = paged(rows, first, min(body["MaxResults"], 20))
    found = [
        {"EventId": f"e{number}", "EventTime": float(epoch(time)), "EventName": "AssumeRole", "Resources": []}
        for number, time in some
    ]
    answer = answered({"Events": found} | ({"NextToken": str(first + 20)} if more else {}))
    return Answer(200, {"Content-Type": "application/x-amz-json-1.1"}, answer.body)


def signed_by_aws(asked: Asked) -> bool:
    """Whether it says whose signature it is. botocore makes the signature, and its own tests check it."""
    shown = asked.headers.get("authorization", "")
    return shown.startswith(f"AWS4-HMAC-SHA256 Credential={SECRET}/") and "/us-east-1/cloudtrail/aws4_request" in shown


SEARCHES = {
    "datadog_logs": of_datadog(datadog, "l"),
    "splunk_search": StandIn(
        ("https://splunk.example:8089",),
        splunk,
        events(lambda number: ("main~1", f"1:{number}")),
        ("SPLUNK_TOKEN",),
        header("authorization", f"Bearer {SECRET}"),
        answered({"messages": [{"type": "WARN", "text": "call not properly authenticated"}]}, status=401),
        "call not properly authenticated",
    ),
    "shodan_search": StandIn(
        ("https://api.shodan.io",),
        shodan,
        events(lambda number: f"b{number}"),
        ("SHODAN_API_KEY",),
        lambda asked: asked.parameters.get("key") == SECRET,
        answered({"error": "Access denied"}, status=401),
        "Access denied",
    ),
    "cloudtrail_events": StandIn(
        ("https://cloudtrail.us-east-1.amazonaws.com",),
        cloudtrail,
        events(lambda number: f"e{number}", whole),
        ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
        signed_by_aws,
        answered({"__type": "UnrecognizedClientException", "message": "The security token is invalid."}, status=400),
        "UnrecognizedClientException: The security token is invalid",
    ),
}
