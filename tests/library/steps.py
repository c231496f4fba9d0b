"""Stand-ins of APIs with several kinds of requests, or with several pulls of a window."""

import json
import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from flows_platform.domain.windows import Window
from tests.fakes.serving import Answer
from tests.library.serving import (
    SECRET,
    TIMES,
    Range,
    Row,
    StandIn,
    answered,
    events,
    header,
    numbered,
    paged,
)

SENSORS = ("3917", "3918")
INSTANCES = ("a:9100", "b:9100")
STEP = timedelta(seconds=60)


def crowdstrike(request: Range) -> Answer:
    if request.asked.path == "/alerts/entities/alerts/v2":
        ids = json.loads(request.asked.body)["composite_ids"]
        alerts = [
            {"composite_id": name, "created_timestamp": f"{TIMES[int(name[6:])]:%Y-%m-%dT%H:%M:%S.%f}789Z", "type": "x"}
            for name in reversed(ids)
        ]
        return answered({"meta": {"powered_by": "detectsapi"}, "resources": alerts, "errors": []})
    found = re.fullmatch(r"created_timestamp:>='(\S+)'\+created_timestamp:<'(\S+)'", request.asked.parameters["filter"])
    assert found
    rows = numbered(*map(datetime.fromisoformat, found.groups()))
    some, _ = paged(rows, request.number("offset"), min(request.number("limit"), 20))
    pagination = {"offset": request.number("offset"), "limit": 20, "total": len(rows)}
    ids = [f"alert:{number}" for number, _ in some]
    return answered({"meta": {"pagination": pagination}, "resources": ids, "errors": []})


def openaq(request: Range) -> Answer:
    found = re.fullmatch(r"/v3/sensors/([0-9]+)/measurements", request.asked.path)
    assert found
    times = _measured(found[1], request.between("datetime_from", "datetime_to"))
    some, more = paged(times, 20 * (request.number("page") - 1), min(request.number("limit"), 20))
    results = [
        {"value": 4.5, "parameter": {"name": "pm25"}, "period": {"datetimeFrom": {"utc": time.isoformat()}}}
        for time in some
    ]
    meta = {"page": request.number("page"), "found": ">20" if more else len(some)}
    return answered({"meta": meta, "results": results})


def _measured(sensor: str, found: list[tuple[int, datetime]]) -> list[datetime]:
    """A sensor has one value for a time; the second one measures at some of the times."""
    times = dict.fromkeys(time for _, time in found)
    return [time for time in times if sensor == SENSORS[0] or time.minute % 3 == 0]


def openaq_rows(window: Window) -> Sequence[Row]:
    found = numbered(window.start, window.end)
    return [((sensor, time), time) for sensor in SENSORS for time in _measured(sensor, found)]


def azure(request: Range) -> Answer:
    query = json.loads(request.asked.body)["query"]
    first, last = (datetime.fromisoformat(text) for text in re.findall(r"datetime\((\S+?)\)", query))
    columns = [{"name": "ItemId", "type": "string"}, {"name": "TimeGenerated", "type": "datetime"}]
    rows = [[f"i{number}", f"{time:%Y-%m-%dT%H:%M:%S.%f}1Z"] for number, time in numbered(first, last)]
    return answered({"tables": [{"name": "PrimaryResult", "columns": columns, "rows": rows}]})


def prometheus(request: Range) -> Answer:
    first, last, step = (request.number(name) for name in ("start", "end", "step"))
    series = [
        {"metric": {"job": "node", "instance": name}, "values": [[at, "1"] for at in range(first, last + 1, step)]}
        for name in INSTANCES
    ]
    return answered({"status": "success", "data": {"resultType": "matrix", "result": series}})


def prometheus_rows(window: Window) -> Sequence[Row]:
    times = [window.start + STEP * number for number in range((window.end - window.start) // STEP)]
    return [(("node", name, time), time) for name in INSTANCES for time in times]


STEPS = {
    "azure_log_analytics": StandIn(
        ("https://api.loganalytics.azure.com", "https://login.microsoftonline.com"),
        azure,
        events(lambda number: f"i{number}"),
        ("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"),
        refusal=answered({"error": {"code": "InvalidTokenError", "message": "The token is expired"}}, status=401),
        reason="invalid_client",
        token_path="/TENANT/oauth2/v2.0/token",  # noqa: S106 - a path
    ),
    "crowdstrike_alerts": StandIn(
        ("https://api.crowdstrike.com",),
        crowdstrike,
        events(lambda number: f"alert:{number}"),
        ("FALCON_CLIENT_ID", "FALCON_CLIENT_SECRET"),
        refusal=answered({"errors": [{"code": 401, "message": "access denied, invalid bearer token"}]}, status=401),
        reason="invalid_client",
        token_path="/oauth2/token",  # noqa: S106 - a path
    ),
    "openaq_measurements": StandIn(
        ("https://api.openaq.org",),
        openaq,
        openaq_rows,
        ("OPENAQ_API_KEY",),
        header("x-api-key", SECRET),
        answered({"detail": "Unauthorized. A valid API key must be provided."}, status=401),
        "A valid API key must be provided",
    ),
    "prometheus_range": StandIn(("http://prometheus.example:9090",), prometheus, prometheus_rows),
}
