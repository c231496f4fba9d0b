"""The paths of threatstack-to-s3: alerts of a range with exclusive bounds, an alert, the status, and its errors."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api_server.config import ServerConfig
from api_server.hooks.feature import HooksConfig, HooksFeature
from api_server.http.tokens import Scope, create_token
from flows_platform.stores.file_store import FileStore
from tests.api_server.conftest import running
from tests.api_server.hooks.served import ORIGINAL, Hooks, serving
from tests.api_server.hooks.test_read_routes import alerts, got
from tests.webhooks.declared import KEY, declared
from tests.webhooks.deliveries import NOW

ALIAS = f"/threatstack-to-s3{ORIGINAL}"


@pytest.fixture
def hooks(tmp_path: Path) -> Iterator[Hooks]:
    with serving(tmp_path, declared(archive="", path=ORIGINAL, aliases=[ALIAS])) as found:
        found.send(alerts(0, 1, 2, 3), f"{ORIGINAL}/{KEY}")
        yield found


def ids(hooks: Hooks, query: str, path: str = ORIGINAL) -> list[str]:
    status, _, body = got(hooks, f"{path}?{query}")
    document = json.loads(body)
    assert (status, document["success"]) == (200, True)
    return [alert["id"] for alert in document["alerts"]]


def test_both_bounds_are_exclusive_by_the_minute(hooks: Hooks) -> None:
    assert ids(hooks, "start=2023-11-14T22:13:00Z&end=2023-11-14T22:16:00Z") == ["a1-ab", "a2-ab"]
    assert ids(hooks, "start=2023-11-14T22:12:59Z&end=2023-11-14T22:16:01Z") == ["a0-ab", "a1-ab", "a2-ab", "a3-ab"]
    assert ids(hooks, "start=2023-11-14T22:13:59&end=2023-11-14T22:15:30", ALIAS) == ["a1-ab", "a2-ab"]
    assert ids(hooks, "start=2023-11-14T23:13:00%2B01:00&end=2023-11-14T22:15Z") == ["a1-ab"]
    assert ids(hooks, "start=2023-11-14T22:14:10Z&end=2023-11-14T22:14:50Z") == []


def test_pages_lead_to_all_alerts(hooks: Hooks) -> None:
    url = f"{ORIGINAL}?start=2023-11-14T22:00Z&end=2023-11-14T23:00Z&limit=3"
    _, headers, body = got(hooks, url)
    first = json.loads(body)
    assert [alert["id"] for alert in first["alerts"]] == ["a0-ab", "a1-ab", "a2-ab"]
    assert first["next"] == "2023/11/14/22/15/a2-ab"
    following = headers["link"].partition(">")[0].removeprefix("<")
    assert headers["link"] == f'<{following}>; rel="next"'
    _, headers, body = got(hooks, following)
    assert [alert["id"] for alert in json.loads(body)["alerts"]] == ["a3-ab"]
    assert "link" not in headers
    assert "next" not in json.loads(body)


def test_bounds_may_be_a_form(hooks: Hooks) -> None:
    form = {"Content_Type": "application/x-www-form-urlencoded; charset=utf-8"}
    whole = b"start=2023-11-14T22%3A00Z&end=2023-11-14T23%3A00Z"
    status, headers, found = hooks.send(whole + b"&limit=3", ORIGINAL, "GET", **form)
    assert (status, [alert["id"] for alert in found["alerts"]]) == (200, ["a0-ab", "a1-ab", "a2-ab"])
    following = headers["link"].partition(">")[0].removeprefix("<")
    assert [alert["id"] for alert in json.loads(got(hooks, following)[2])["alerts"]] == ["a3-ab"]
    status, _, found = hooks.send(b"end=2023-11-14T23:00Z", f"{ORIGINAL}?start=2023-11-14T22:00Z", "GET", **form)
    assert (status, len(found["alerts"])) == (200, 4)
    status, _, found = hooks.send(whole, f"{ORIGINAL}?start=2023-11-14T22:00Z", "GET", **form)
    assert (status, found["parameter"]) == (400, "start")
    assert hooks.send(b"x=" + b"1" * 4096, ORIGINAL, "GET", **form)[0] == 413
    assert hooks.send(whole, ORIGINAL, "GET", Content_Type="text/plain")[2]["parameter"] == "start"


def test_an_alert_has_a_tag(hooks: Hooks) -> None:
    status, headers, body = got(hooks, f"{ORIGINAL}/a0-ab")
    assert (status, json.loads(body)) == (200, {"success": True, "alert": {"id": "a0-ab", "created_at": 1700000000123}})
    assert headers["cache-control"] == "private, no-cache"
    assert got(hooks, f"{ORIGINAL}/a0-ab", If_None_Match="no")[0] == 200
    for tags in (headers["etag"], f'"other", W/{headers["etag"]}', "*"):
        status, _, body = got(hooks, f"{ORIGINAL}/a0-ab", **{"If-None-Match": tags})
        assert (status, body) == (304, b"")
    status, _, body = got(hooks, f"{ORIGINAL}/none")
    problem = json.loads(body)
    assert (status, problem["status"], problem["success"], problem["error"]["type"]) == (404, 404, False, "not-found")


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("", "start is missing."),
        ("start=2023-11-14", "end is missing."),
        ("start=today&end=2023-11-14", "start is 'today'."),
        ("start=2023-11-14&end=2023-12-16", "The range is too long."),
        ("start=2023-11-14&end=2023-11-13", "start is later than end."),
        ("start=2023-11-14&end=2023-11-15&limit=0", "limit is '0'."),
        ("start=2023-11-14&end=2023-11-15&after=../x", "after is '../x'."),
    ],
)
def test_a_bad_range_has_both_forms_of_an_error(hooks: Hooks, query: str, why: str) -> None:
    status, headers, body = got(hooks, f"{ORIGINAL}?{query}")
    found: dict[str, Any] = json.loads(body)
    assert (status, headers["content-type"]) == (400, "application/problem+json")
    assert (found["detail"], found["success"]) == (why, False)
    assert found["error"]["message"] == [why]


def test_the_status_of_archive_and_vendor(hooks: Hooks) -> None:
    found = json.loads(got(hooks, "/api/v1/s3/status")[2])
    assert (found["success"], found["s3"], found["threatstack"]) == (True, {"success": True}, {"success": True})


def test_a_missing_token_has_both_forms_of_an_error(tmp_path: Path) -> None:
    file, archive = tmp_path / "tokens.json", FileStore(tmp_path / "archive")
    token = create_token(file, "status", [Scope.STATUS_READ], NOW)
    declaration = declared(archive="", path=ORIGINAL)
    config = HooksConfig((declaration,), lambda: archive, tmp_path / "alerts.db", {"HOOK_KEY": KEY}.get)
    with running(ServerConfig(tokens=file, shutdown_seconds=1), [HooksFeature(config)]) as server:
        hooks = Hooks(server.port, archive)
        status, headers, body = got(hooks, f"{ORIGINAL}/a0-ab")
        found = json.loads(body)
        assert (status, found["success"], found["error"]["type"]) == (401, False, "unauthorized")
        assert headers["www-authenticate"].startswith("Bearer")
        assert got(hooks, f"{ORIGINAL}/a0-ab", Authorization=f"Bearer {token}")[0] == 403
        assert got(hooks, "/api/v1/s3/status", Authorization=f"Bearer {token}")[0] == 200
        assert "success" not in json.loads(got(hooks, "/api/v1/hooks")[2])
