"""Stand-ins of APIs with several kinds of requests, or with several pulls of a window."""

import json
import re
from datetime import datetime

from tests.fakes.serving import Answer
from tests.library.serving import (
    TIMES,
    Range,
    StandIn,
    answered,
    events,
    numbered,
    paged,
)


def crowdstrike(request: Range) -> Answer:
    if request.asked.path == "/alerts/entities/alerts/v2":
        ids = json.loads(request.asked.body)["composite_ids"]
        alerts = [
            {
                "composite_id": name,
                "created_timestamp": f"{TIMES[int(name[6:])]:%Y-%m-%dT%H:%M:%S.%f}789Z",
                "severity": 70,
            }
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


STEPS = {
    "crowdstrike_alerts": StandIn(
        ("https://api.crowdstrike.com",),
        crowdstrike,
        events(lambda number: f"alert:{number}"),
        ("FALCON_CLIENT_ID", "FALCON_CLIENT_SECRET"),
        refusal=answered({"errors": [{"code": 401, "message": "access denied, invalid bearer token"}]}, status=401),
        reason="invalid_client",
        token_path="/oauth2/token",  # noqa: S106 - a path
    ),
}
