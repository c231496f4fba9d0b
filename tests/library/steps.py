"""Stand-ins of APIs with several kinds of requests, or with several pulls of a window."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
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
)

SENSORS = ("3917", "3918")
INSTANCES = ("a:9100", "b:9100")
STEP = timedelta(seconds=60)
CHUNK = 30  # findings of a chunk


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


@dataclass
class Tenable:
    """Exports that are finished when their status is asked for the second time."""

    since: dict[str, int] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)

    def __call__(self, request: Range) -> Answer:
        if request.asked.path == "/vulns/export":
            body = json.loads(request.asked.body)
            assert body["filters"]["state"] == ["OPEN", "REOPENED", "FIXED"]
            job = f"export-{len(self.since)}"
            self.since[job] = body["filters"]["last_found"]
            return answered({"export_uuid": job})
        found = re.fullmatch(r"/vulns/export/([\w-]+)/(?:status|chunks/([0-9]+))", request.asked.path)
        assert found
        findings = [(number, time) for number, time in enumerate(TIMES) if epoch(time) >= self.since[found[1]]]
        if found[2]:
            first = (int(found[2]) - 1) * CHUNK
            return answered([_finding(number, time) for number, time in findings[first : first + CHUNK]])
        self.asked[found[1]] += 1
        if self.asked[found[1]] == 1:
            return answered({"status": "PROCESSING", "chunks_available": [1]})
        chunks = range(1, -(-len(findings) // CHUNK) + 1)
        return answered({"uuid": found[1], "status": "FINISHED", "chunks_available": list(chunks)})


def _finding(number: int, time: datetime) -> dict[str, Any]:
    asset, plugin = {"uuid": "a-1", "hostname": "h"}, {"id": 19506, "name": "n", "cve": ["CVE-2024-1"]}
    return {"finding_id": f"f{number}", "last_found": iso(time), "state": "OPEN", "asset": asset, "plugin": plugin}


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
    "tenable_vulnerabilities": StandIn(
        ("https://cloud.tenable.com",),
        Tenable(),
        events(lambda number: f"f{number}"),
        ("TENABLE_API_KEYS",),
        header("x-apikeys", SECRET),
        answered({"error": "Invalid Credentials"}, status=401),
        "Invalid Credentials",
    ),
}
