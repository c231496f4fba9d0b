"""Stand-ins of the APIs that docs/apis.md calls tested: their declarations are in `tested.yaml`."""

import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from flows_platform.domain.windows import Window
from tests.fakes.serving import Answer, Asked
from tests.library.files import LISTED, at_start
from tests.library.serving import (
    SECRET,
    TIMES,
    Range,
    Row,
    StandIn,
    answered,
    events,
    header,
    iso,
    numbered,
    paged,
    whole,
)

SIZE = 20  # records of a page


def instants(pattern: str, text: str) -> list[datetime]:
    """The two bounds in a text, in UTC."""
    found = re.findall(pattern, text)
    assert len(found) == 2, text
    parsed = map(datetime.fromisoformat, found)
    return [instant if instant.tzinfo else instant.replace(tzinfo=UTC) for instant in parsed]


def auth0(request: Range) -> Answer:
    found = re.fullmatch(r"date:\[(\S+) TO (\S+)\]", request.asked.parameters["q"])
    assert found
    rows = numbered(*map(datetime.fromisoformat, found.groups()), inclusive=True)
    some, _ = paged(rows, request.number("page") * SIZE, min(request.number("per_page"), SIZE))
    logs = [{"log_id": f"a{number}", "date": iso(time), "type": "s"} for number, time in some]
    return answered({"start": request.number("page") * SIZE, "limit": SIZE, "total": len(rows), "logs": logs})


def guardduty(request: Range) -> Answer:
    body = json.loads(request.asked.body)
    if request.asked.path.endswith("/findings/get"):
        found = [{"id": name, "updatedAt": iso(TIMES[int(name[1:])])} for name in body["findingIds"]]
        return answered({"findings": found})
    bounds = body["findingCriteria"]["criterion"]["updatedAt"]
    first, last = (datetime.fromtimestamp(bounds[name] / 1000, UTC) for name in ("greaterThanOrEqual", "lessThan"))
    start = int(body.get("nextToken", 0))
    some, more = paged(numbered(first, last), start, min(body["maxResults"], SIZE))
    return answered(
        {"findingIds": [f"f{number}" for number, _ in some], "nextToken": str(start + SIZE) if more else ""}
    )


def elasticsearch(request: Range) -> Answer:
    body = json.loads(request.asked.body)
    rows = numbered(*instants(r"CAST\('(\S+)' AS DATETIME\)", body["query"]))
    start = int(body.get("cursor", 0))
    some, more = paged(rows, start, min(body["fetch_size"], SIZE))
    columns = {} if start else {"columns": [{"name": name, "type": "text"} for name in ("event.id", "@timestamp", "m")]}
    cursor = {"cursor": str(start + SIZE)} if more else {}
    return answered(columns | cursor | {"rows": [[f"e{number}", iso(time), "text"] for number, time in some]})


def google_logs(request: Range) -> Answer:
    body = json.loads(request.asked.body)
    rows = numbered(*instants(r'"(\S+)"', body["filter"]))
    start = int(body.get("pageToken", 0))
    some, more = paged(rows, start, min(body["pageSize"], SIZE))
    entries = [
        {"logName": "l", "insertId": f"i{number}", "timestamp": f"{time:%Y-%m-%dT%H:%M:%S.%f}123Z"}
        for number, time in some
    ]
    onward = {"nextPageToken": str(start + SIZE)} if more else {}
    return answered(({"entries": entries} if entries else {}) | onward)


def google_reports(request: Range) -> Answer:
    rows = request.between("startTime", "endTime")
    some, more = paged(rows, request.number("pageToken"), min(request.number("maxResults"), SIZE))
    items = [{"id": {"time": iso(time), "uniqueQualifier": f"{number}"}, "actor": {}} for number, time in some]
    onward = {"nextPageToken": str(request.number("pageToken") + SIZE)} if more else {}
    return answered({"kind": "admin#reports#activities"} | ({"items": items} if items else {}) | onward)


def jira(request: Range) -> Answer:
    rows = numbered(*instants(r'"([\d-]+ [\d:]+)"', request.asked.parameters["jql"]))
    start = request.number("nextPageToken")
    some, more = paged(rows, start, min(request.number("maxResults"), SIZE))
    issues = [{"id": f"{number}", "fields": {"updated": iso(time).replace("Z", "+0000")}} for number, time in some]
    return answered({"issues": issues, "isLast": not more} | ({"nextPageToken": str(start + SIZE)} if more else {}))


def defender(request: Range) -> Answer:
    found = re.fullmatch(
        r"alertCreationTime ge (\S+) and alertCreationTime lt (\S+)", request.asked.parameters["$filter"]
    )
    assert found
    start = request.number("$skip")
    some, more = paged(numbered(*map(datetime.fromisoformat, found.groups())), start, SIZE)
    value = [{"id": f"d{number}", "alertCreationTime": f"{time:%Y-%m-%dT%H:%M:%S.%f}7Z"} for number, time in some]
    link = {"@odata.nextLink": request.link(**{"$skip": start + SIZE})} if more else {}
    return answered({"@odata.context": "Alerts", "value": value} | link)


def taxii(request: Range) -> Answer:
    assert request.asked.headers["accept"] == "application/taxii+json;version=2.1"
    some, more = paged(range(LISTED), request.number("next"), SIZE)
    objects = [{"id": f"attack-pattern--{number}", "type": "attack-pattern"} for number in some]
    onward: dict[str, Any] = {"more": True, "next": str(request.number("next") + SIZE)} if more else {"more": False}
    answer = answered(onward | {"objects": objects})
    return Answer(200, {"Content-Type": "application/taxii+json;version=2.1"}, answer.body)


def insightvm(request: Range) -> Answer:
    page, size = request.number("page"), min(request.number("size"), SIZE)
    some, more = paged(range(LISTED), page * size, size)
    links = [{"rel": "self", "href": request.link()}] + [{"rel": "next", "href": request.link(page=page + 1)}] * more
    around = {"number": page, "size": size, "totalPages": 2, "totalResources": LISTED}
    return answered({"resources": [{"id": number} for number in some], "page": around, "links": links})


def salesforce(request: Range) -> Answer:
    if "q" in request.asked.parameters:
        found = re.search(r"LoginTime >= (\S+) AND LoginTime < (\S+)", request.asked.parameters["q"])
        assert found
        first, last, start = *found.groups(), 0
    else:
        first, last, skipped = request.asked.path.rpartition("/")[2].split("~")
        start = int(skipped)
    rows = numbered(*map(datetime.fromisoformat, (first, last)))
    some, more = paged(rows, start, SIZE)
    records = [{"Id": f"s{number}", "LoginTime": iso(time).replace("Z", "+0000")} for number, time in some]
    link = {"nextRecordsUrl": f"/services/data/v60.0/query/{first}~{last}~{start + SIZE}"} if more else {}
    return answered({"totalSize": len(rows), "done": not more, "records": records} | link)


def sentinelone(request: Range) -> Answer:
    rows = request.between("createdAt__gte", "createdAt__lt", inclusive=False)
    start = request.number("cursor")
    some, more = paged(rows, start, min(request.number("limit"), SIZE))
    data = [{"id": f"{number}", "createdAt": iso(time)} for number, time in some]
    cursor = str(start + SIZE) if more else None
    return answered({"data": data, "pagination": {"totalItems": len(rows), "nextCursor": cursor}})


def sentry(request: Range) -> Answer:
    start = request.number("cursor")
    some, more = paged(request.between("start", "end"), start, SIZE)
    found = [{"eventID": f"e{number}", "dateCreated": iso(time)} for number, time in some]
    link = f'<{request.link(cursor=start + SIZE)}>; rel="next"; results="{str(more).lower()}"; cursor="{start + SIZE}"'
    before = f'<{request.link(cursor=0)}>; rel="previous"; results="false"; cursor="0"'
    return answered(found, {"Link": f"{before}, {link}"})


def servicenow(request: Range) -> Answer:
    query = request.asked.parameters["sysparm_query"]
    rows = numbered(*instants(r"sys_updated_on(?:>=|<)([\d-]+ [\d:]+)", query), seen=whole)
    start = request.number("sysparm_offset")
    some, more = paged(rows, start, min(request.number("sysparm_limit"), SIZE))
    result = [{"sys_id": f"n{number}", "sys_updated_on": f"{time:%Y-%m-%d %H:%M:%S}"} for number, time in some]
    link = {"Link": f'<{request.link(sysparm_offset=start + SIZE)}>;rel="next"'} if more else {}
    return answered({"result": result}, link)


def shopify(request: Range) -> Answer:
    start = request.number("page_info")
    some, more = paged(request.between("created_at_min", "created_at_max"), start, min(request.number("limit"), SIZE))
    orders = [{"id": number, "created_at": time.isoformat()} for number, time in some]
    link = {"Link": f'<{request.link(page_info=start + SIZE)}>; rel="next"'} if more else {}
    return answered({"orders": orders}, link)


def zoom(request: Range) -> Answer:
    first, last = (datetime.fromisoformat(request.asked.parameters[name]) for name in ("from", "to"))
    rows = numbered(first.replace(tzinfo=UTC), last.replace(tzinfo=UTC) + timedelta(days=1))
    start = request.number("next_page_token")
    some, more = paged(rows, start, min(request.number("page_size"), SIZE))
    same = {"operator": "a@b.c", "category_type": "User", "action": "Add"}
    logs = [same | {"time": iso(time), "operation_detail": f"{number}"} for number, time in some]
    return answered({"next_page_token": str(start + SIZE) if more else "", "operation_logs": logs})


def with_time(key: Callable[[int, datetime], tuple[object, ...]]) -> Callable[[Window], Sequence[Row]]:
    """The rows of a window whose key has the time."""
    return lambda window: [(key(number, time), time) for number, time in numbered(window.start, window.end)]


def by_aws(asked: Asked) -> bool:
    return asked.headers.get("authorization", "").startswith(f"AWS4-HMAC-SHA256 Credential={SECRET}/")


BASIC = "Basic czNjcjN0OnMzY3IzdA=="
GOOGLE = ("GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET", "GOOGLE_REFRESH_TOKEN")
OTHERS = {
    "auth0_logs": StandIn(
        ("https://tenant.example.auth0.com",),
        auth0,
        events(lambda number: f"a{number}"),
        ("AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET"),
        reason="invalid_client",
        token_path="/oauth/token",  # noqa: S106 - a path
    ),
    "guardduty_findings": StandIn(
        ("https://guardduty.us-east-1.amazonaws.com",),
        guardduty,
        events(lambda number: f"f{number}"),
        ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
        by_aws,
    ),
    "elasticsearch_logs": StandIn(
        ("https://elastic.example:9200",),
        elasticsearch,
        events(lambda number: f"e{number}"),
        ("ELASTIC_AUTHORIZATION",),
        header("authorization", SECRET),
    ),
    "google_cloud_log_entries": StandIn(
        ("https://logging.googleapis.com", "https://oauth2.googleapis.com"),
        google_logs,
        with_time(lambda number, time: ("l", time, f"i{number}")),
        GOOGLE,
        reason="invalid_client",
        token_path="/token",  # noqa: S106 - a path
    ),
    "google_workspace_logins": StandIn(
        ("https://admin.googleapis.com", "https://oauth2.googleapis.com"),
        google_reports,
        with_time(lambda number, time: (time, f"{number}")),
        GOOGLE,
        reason="invalid_client",
        token_path="/token",  # noqa: S106 - a path
    ),
    "jira_issues": StandIn(
        ("https://site.example.atlassian.net",),
        jira,
        events(lambda number: f"{number}"),
        ("JIRA_USER", "JIRA_API_TOKEN"),
        header("authorization", BASIC),
    ),
    "defender_alerts": StandIn(
        ("https://api.securitycenter.microsoft.com", "https://login.microsoftonline.com"),
        defender,
        events(lambda number: f"d{number}"),
        ("DEFENDER_CLIENT_ID", "DEFENDER_CLIENT_SECRET"),
        reason="invalid_client",
        token_path="/TENANT/oauth2/v2.0/token",  # noqa: S106 - a path
    ),
    "mitre_attack": StandIn(
        ("https://attack-taxii.mitre.org",), taxii, at_start(lambda number: f"attack-pattern--{number}")
    ),
    "insightvm_assets": StandIn(
        ("https://insightvm.example:3780",),
        insightvm,
        at_start(lambda number: number),
        ("INSIGHTVM_USER", "INSIGHTVM_PASSWORD"),
        header("authorization", BASIC),
    ),
    "salesforce_logins": StandIn(
        ("https://domain.example.my.salesforce.com",),
        salesforce,
        events(lambda number: f"s{number}"),
        ("SALESFORCE_CLIENT_ID", "SALESFORCE_CLIENT_SECRET"),
        reason="invalid_client",
        token_path="/services/oauth2/token",  # noqa: S106 - a path
    ),
    "sentinelone_activities": StandIn(
        ("https://console.example.sentinelone.net",),
        sentinelone,
        events(lambda number: f"{number}"),
        ("SENTINELONE_AUTHORIZATION",),
        header("authorization", SECRET),
    ),
    "sentry_events": StandIn(
        ("https://sentry.io",),
        sentry,
        events(lambda number: f"e{number}"),
        ("SENTRY_TOKEN",),
        header("authorization", f"Bearer {SECRET}"),
    ),
    "servicenow_incidents": StandIn(
        ("https://instance.example.service-now.com",),
        servicenow,
        events(lambda number: f"n{number}", whole),
        ("SERVICENOW_USER", "SERVICENOW_PASSWORD"),
        header("authorization", BASIC),
    ),
    "shopify_orders": StandIn(
        ("https://shop.example.myshopify.com",),
        shopify,
        events(lambda number: number),
        ("SHOPIFY_TOKEN",),
        header("x-shopify-access-token", SECRET),
    ),
    "zoom_operation_logs": StandIn(
        ("https://api.zoom.us", "https://zoom.us"),
        zoom,
        with_time(lambda number, time: (time, "a@b.c", "User", "Add", f"{number}")),
        ("ZOOM_CLIENT_ID", "ZOOM_CLIENT_SECRET", "ZOOM_ACCOUNT_ID"),
        reason="invalid_client",
        token_path="/oauth/token",  # noqa: S106 - a path
    ),
}
