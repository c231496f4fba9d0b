"""Stand-ins of audit logs and events: their documented names, bounds, paging and time forms, with few records."""

import hmac
import re
from base64 import b64decode
from datetime import datetime
from urllib.parse import urlsplit

from tests.fakes.serving import Answer, Asked
from tests.library.files import FILES
from tests.library.searches import SEARCHES, of_datadog
from tests.library.serving import (
    SECRET,
    Range,
    StandIn,
    answered,
    epoch,
    events,
    header,
    iso,
    milliseconds,
    numbered,
    paged,
    whole,
)
from tests.library.steps import STEPS


def stripe(request: Range) -> Answer:
    rows = request.between("created[gte]", "created[lt]", inclusive=False, seen=whole)[::-1]
    ids = [f"evt_{number}" for number, _ in rows]
    after = request.asked.parameters.get("starting_after")
    some, more = paged(rows, ids.index(after) + 1 if after else 0, min(request.number("limit"), 10))
    data = [
        {"id": f"evt_{number}", "object": "event", "created": epoch(time), "type": "charge.succeeded", "livemode": True}
        for number, time in some
    ]
    return answered({"object": "list", "has_more": more, "data": data})


def slack(request: Range) -> Answer:
    rows = request.between("oldest", "latest", seen=whole)
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
            "properties": {"time": milliseconds(time), "mag": 4.5, "tsunami": 0, "sig": 312},
            "geometry": {"type": "Point", "coordinates": [-117.5, 35.25, 8.0]},
        }
        for number, time in rows
    ]
    return answered({"type": "FeatureCollection", "metadata": {"count": len(rows)}, "features": features})


def pagerduty(request: Range) -> Answer:
    rows = request.between("since", "until", seen=whole)
    some, more = paged(rows, request.number("offset"), min(request.number("limit"), 10))
    entries = [
        {"id": f"R{number}", "created_at": iso(time), "type": "trigger_log_entry", "teams": []} for number, time in some
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


def github(request: Range) -> Answer:
    found = re.fullmatch(r"created:(\S+)\.\.(\S+)", request.asked.parameters["phrase"])
    assert found
    assert request.asked.headers["accept"] == "application/vnd.github+json"
    rows = numbered(*map(datetime.fromisoformat, found.groups()), inclusive=True)
    some, more = paged(rows, request.number("after"), min(request.number("per_page"), 20))
    documents = [
        {"_document_id": f"g{number}", "created_at": milliseconds(time), "action": "repo.create", "@timestamp": 1}
        for number, time in some
    ]
    link = f'<{request.link(after=request.number("after") + 20)}>; rel="next", <{request.link()}>; rel="first"'
    return answered(documents, {"Link": link} if more else {})


def graph(request: Range) -> Answer:
    found = re.fullmatch(r"createdDateTime ge (\S+) and createdDateTime lt (\S+)", request.asked.parameters["$filter"])
    assert found
    rows = numbered(*map(datetime.fromisoformat, found.groups()))[::-1]
    some, more = paged(rows, request.number("$skiptoken"), 20)
    value = [
        {"id": f"m{number}", "createdDateTime": f"{time:%Y-%m-%dT%H:%M:%S.%f}7Z", "status": {"errorCode": 0}}
        for number, time in some
    ]
    link = {"@odata.nextLink": request.link(**{"$skiptoken": request.number("$skiptoken") + 20})} if more else {}
    return answered({"@odata.context": "signIns", "value": value} | link)


def duo(request: Range) -> Answer:
    rows = request.between("mintime", "maxtime")
    at = [f"{milliseconds(time)},d{number}" for number, time in rows]
    first = at.index(request.asked.parameters["next_offset"]) if "next_offset" in request.asked.parameters else 0
    some, more = paged(rows, first, min(request.number("limit"), 20))
    logs = [{"txid": f"d{number}", "isotimestamp": time.isoformat(), "result": "success"} for number, time in some]
    onward = at[first + 20].split(",") if more else None
    return answered({"stat": "OK", "response": {"authlogs": logs, "metadata": {"next_offset": onward}}})


def signed_for_duo(asked: Asked) -> bool:
    """Whether the password is the signature of what was asked."""
    kind, _, pair = asked.headers.get("authorization", "").partition(" ")
    user, _, signature = b64decode(pair).decode().partition(":")
    query = "&".join(sorted(urlsplit(asked.target).query.split("&")))
    text = "\n".join([asked.headers["date"], asked.method, asked.headers["host"], asked.path, query])
    expected = hmac.new(SECRET.encode(), text.encode(), "sha1").hexdigest()
    return (kind, user, signature) == ("Basic", SECRET, expected)


EVENTS = {
    "stripe_events": StandIn(
        ("https://api.stripe.com",),
        stripe,
        events(lambda number: f"evt_{number}", whole),
        ("STRIPE_API_KEY",),
        header("authorization", f"Bearer {SECRET}"),
        answered({"error": {"message": "Invalid API Key provided"}}, status=401),
        "Invalid API Key provided",
    ),
    "slack_audit_logs": StandIn(
        ("https://api.slack.com",),
        slack,
        events(lambda number: f"s{number}", whole),
        ("SLACK_AUDIT_TOKEN",),
        header("authorization", f"Bearer {SECRET}"),
        answered({"ok": False, "error": "invalid_auth"}, status=401),
        "invalid_auth",
    ),
    "okta_system_log": StandIn(
        ("https://example.okta.com",),
        okta,
        events(lambda number: f"o{number}"),
        ("OKTA_AUTHORIZATION",),
        header("authorization", SECRET),
        answered({"errorCode": "E0000011", "errorSummary": "Invalid token provided"}, status=401),
        "E0000011: Invalid token provided",
    ),
    "usgs_earthquakes": StandIn(("https://earthquake.usgs.gov",), usgs, events(lambda number: f"us{number}")),
    "pagerduty_log_entries": StandIn(
        ("https://api.pagerduty.com",),
        pagerduty,
        events(lambda number: f"R{number}", whole),
        ("PAGERDUTY_AUTHORIZATION",),
        header("authorization", SECRET),
        answered({"error": {"message": "Unauthorized", "code": 2006}}, status=401),
        "2006: Unauthorized",
    ),
    "gitlab_audit_events": StandIn(
        ("https://gitlab.example",),
        gitlab,
        events(lambda number: number),
        ("GITLAB_TOKEN",),
        header("private-token", SECRET),
        answered({"message": "401 Unauthorized"}, status=401),
        "401 Unauthorized",
    ),
    "datadog_audit_events": of_datadog(datadog, "d"),
    "cloudflare_audit_logs": StandIn(
        ("https://api.cloudflare.com",),
        cloudflare,
        events(lambda number: f"c{number}"),
        ("CLOUDFLARE_API_TOKEN",),
        header("authorization", f"Bearer {SECRET}"),
        answered({"success": False, "errors": [{"code": 10000, "message": "Authentication error"}]}, status=403),
        "10000: Authentication error",
    ),
    "github_audit_log": StandIn(
        ("https://api.github.com",),
        github,
        events(lambda number: f"g{number}"),
        ("GITHUB_AUDIT_TOKEN",),
        header("authorization", f"Bearer {SECRET}"),
        answered({"message": "Bad credentials"}, status=401),
        "Bad credentials",
    ),
    "graph_sign_ins": StandIn(
        ("https://graph.microsoft.com", "https://login.microsoftonline.com"),
        graph,
        events(lambda number: f"m{number}"),
        ("GRAPH_CLIENT_ID", "GRAPH_CLIENT_SECRET"),
        refusal=answered(
            {"error": {"code": "InvalidAuthenticationToken", "message": "Lifetime validation failed."}}, status=401
        ),
        reason="invalid_client",
        token_path="/TENANT/oauth2/v2.0/token",  # noqa: S106 - a path
    ),
    "duo_authentication_log": StandIn(
        ("https://api-xxxxxxxx.duosecurity.com",),
        duo,
        events(lambda number: f"d{number}"),
        ("DUO_INTEGRATION_KEY", "DUO_SECRET_KEY"),
        signed_for_duo,
        answered({"code": 40103, "message": "Invalid signature in request credentials", "stat": "FAIL"}, status=401),
        "40103: Invalid signature in request credentials",
    ),
}
STAND_INS = EVENTS | FILES | SEARCHES | STEPS
