"""Records with their details over HTTP: present, absent, pending, given up and fetched again. A real server."""

import json
import time
from collections.abc import Callable
from datetime import datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from flows_platform.webhooks.detail_worker import NotAuthorized, Unaskable
from tests.api_server.hooks.served import MS, ORIGINAL, Hooks, body, serving
from tests.api_server.hooks.test_read_routes import got
from tests.webhooks.declared import KEY, declared

BASE = "/api/v1/hooks/vendor_alerts"
RANGE = f"{BASE}/records?start=2023-11-14T22:13:00Z&end=2023-11-14T22:16:00Z"


class Vendor:
    """A vendor that has a detail of most records; one that refuses raises `error`."""

    concurrency = 1
    lease_seconds = 600.0

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def detail(self, record_id: str, record: Callable[[], bytes]) -> bytes | None:  # noqa: ARG002 - as real ones
        if self.error:
            raise self.error
        return None if record_id.endswith("n") else b'{"id": "%s", "severity": 1}' % record_id.encode()

    def close(self) -> None:
        """Nothing is open."""


def read(hooks: Hooks, url: str, method: str = "GET") -> tuple[int, dict[str, str], Any]:
    status, headers, found = got(hooks, url, method)
    return status, headers, json.loads(found)


def until(hooks: Hooks, url: str, wanted: Callable[[Any], bool]) -> Any:
    """The answer once it is as wanted."""
    for _ in range(600):
        found = read(hooks, url)[2]
        if wanted(found):
            return found
        time.sleep(0.05)
    raise AssertionError(found)


def test_records_are_read_with_their_details(tmp_path: Path) -> None:
    vendor = Vendor()
    declaration = declared(archive="", path=ORIGINAL)
    with serving(tmp_path, declaration, vendors={"vendor_alerts": lambda: vendor}) as hooks:
        hooks.send(body("5a3c", "5a3n"), f"{ORIGINAL}/{KEY}")
        found = until(hooks, BASE, lambda one: not one["pending"])
        assert (found["records"], found["dead"], found["stopped"], found["oldest_pending_seconds"]) == (2, 0, "", None)
        present, absent = map(json.loads, got(hooks, RANGE)[2].splitlines())
        assert (present["detail_state"], present["detail"]) == ("present", {"id": "5a3c", "severity": 1})
        assert (absent["detail_state"], "detail" in absent, "detail_at" in absent) == ("absent", False, False)
        kept = hooks.store.dated("alerts/5a/3c/5a3c")
        assert kept is not None
        assert datetime.fromisoformat(present["detail_at"]) == kept.created
        assert read(hooks, f"{ORIGINAL}/5a3c")[2] == {"success": True, "alert": {"id": "5a3c", "severity": 1}}
        assert read(hooks, f"{ORIGINAL}/5a3n")[2]["alert"] == absent["webhook"] | {"detail": "absent"}


def test_a_record_without_its_detail_keeps_its_numbers(tmp_path: Path) -> None:
    declaration = declared(archive="", path=ORIGINAL)
    times = f'"created_at":{MS},"x":1e999'
    sent = f'{{"alerts":[{{"id":"5a3n",{times}}},{{"id":"5a4n",{times},"detail":1.0}}]}}'
    with serving(tmp_path, declaration, vendors={"vendor_alerts": Vendor}) as hooks:
        hooks.send(sent.encode(), f"{ORIGINAL}/{KEY}")
        until(hooks, BASE, lambda one: not one["pending"])
        alert = got(hooks, f"{ORIGINAL}/5a3n")[2].decode()
        assert alert == f'{{"success":true,"alert":{{"id":"5a3n",{times},"detail":"absent"}}}}'
        alert = got(hooks, f"{ORIGINAL}/5a4n")[2].decode()
        assert alert == f'{{"success":true,"alert":{{"id":"5a4n",{times},"detail":1.0}}}}'


def test_a_detail_that_was_given_up_is_fetched_again(tmp_path: Path) -> None:
    vendor = Vendor(Unaskable("the vendor refuses."))
    declaration = declared(archive="", path=ORIGINAL)
    with serving(tmp_path, declaration, vendors={"vendor_alerts": lambda: vendor}) as hooks:
        hooks.send(body("5a3c"), f"{ORIGINAL}/{KEY}")
        assert until(hooks, BASE, lambda one: one["dead"] == 1)["pending"] == 0
        status, headers, found = read(hooks, f"{ORIGINAL}/5a3c")
        assert (status, headers.get("retry-after"), found["alert"]["detail"]) == (200, None, "given_up")
        assert json.loads(got(hooks, RANGE)[2])["detail_state"] == "given_up"
        assert (
            read(hooks, f"{ORIGINAL}?start=2023-11-14T22:12Z&end=2023-11-14T22:16Z")[2]["alerts"][0]["detail"]
            == "given_up"
        )
        assert read(hooks, "/api/v1/s3/status")[2]["dead"] == 1
        vendor.error = None
        number = read(hooks, f"{BASE}/changes")[2]["number"]
        assert number == 2  # the record came, its detail was given up
        status, _, found = read(hooks, f"{BASE}/records/5a3c/detail", "POST")
        assert (status, found) == (202, {"id": "5a3c", "detail_state": "pending"})
        until(hooks, f"{BASE}/records/5a3c", lambda one: one["detail_state"] == "present")
        changes = read(hooks, f"{BASE}/changes?after={number}")[2]["changes"]
        assert [change["minute"] for change in changes] == ["2023-11-14T22:13Z"]
        status, _, found = read(hooks, f"{BASE}/records/5a3c/detail", "POST")
        assert (status, found["type"]) == (409, "/#no-detail-due")
        assert read(hooks, f"{BASE}/records/none/detail", "POST")[0] == 404
        assert got(hooks, f"{BASE}/records/5a3c/detail")[0] == 405


def test_a_detail_that_was_removed_is_not_pending(tmp_path: Path) -> None:
    vendor = Vendor(None)
    with serving(tmp_path, vendors={"vendor_alerts": lambda: vendor}) as hooks:
        hooks.send(body("5a3c"))
        until(hooks, f"{BASE}/records/5a3c", lambda one: one["detail_state"] == "present")
        (tmp_path / "archive" / "alerts" / "5a" / "3c" / "5a3c").unlink()
        status, _, found = read(hooks, f"{BASE}/records/5a3c")
        assert (status, found["type"]) == (500, "/#archive-incomplete")
        assert "does not have alerts/5a/3c/5a3c, which it had" in found["detail"]
        with pytest.raises((HTTPException, OSError)):
            got(hooks, RANGE)


def test_a_vendor_that_refuses_our_key_is_in_the_status(tmp_path: Path) -> None:
    declaration, vendor = declared(archive="", path=ORIGINAL), Vendor(NotAuthorized("the vendor answered 401."))
    with serving(tmp_path, declaration, vendors={"vendor_alerts": lambda: vendor}) as hooks:
        hooks.send(body("5a3c"), f"{ORIGINAL}/{KEY}")
        found = until(hooks, "/api/v1/s3/status", lambda one: not one["success"])
        assert (found["s3"], found["threatstack"]["success"]) == ({"success": True}, False)
        assert found["pending"] == 1
        assert read(hooks, BASE)[2]["stopped"] == found["threatstack"]["error"]
