"""Archived records over HTTP: a range with its count and digest, a record, and what changed. A real server."""

import json
import shutil
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest

from api_server.config import ServerConfig
from api_server.hooks.feature import HooksConfig, HooksFeature
from api_server.http.tokens import Scope, create_token
from flows_platform.domain.errors import StorageError
from flows_platform.formats.protocol.line_digest import lines_digest
from flows_platform.stores.file_store import FileStore
from flows_platform.webhooks.archive import Archive
from flows_platform.webhooks.journal import Journal
from flows_platform.webhooks.receiver import Receiver
from tests.api_server.conftest import running
from tests.api_server.hooks.served import ORIGINAL, URL, Hooks, serving
from tests.webhooks.declared import KEY, declared
from tests.webhooks.deliveries import NOW

MS = 1_700_000_000_123  # 2023-11-14T22:13:20.123Z
A_MINUTE = 60_000
RECORD = """{
   "id": "a0-ab",
   "created_at": 1700000000123
  }"""
BASE = "/api/v1/hooks/vendor_alerts"
RANGE = f"{BASE}/records?start=2023-11-14T22:13:00Z&end=2023-11-14T22:16:00Z"


def alerts(*minutes: int, **more: Any) -> bytes:
    """A delivery with an alert for every minute; its id has the minute."""
    found = [{"id": f"a{minute}-ab", "created_at": MS + minute * A_MINUTE, **more} for minute in minutes]
    return json.dumps({"alerts": found}, indent=1).encode()


def got(hooks: Hooks, url: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = HTTPConnection("127.0.0.1", hooks.port, timeout=60)
    try:
        connection.request(method, url, headers=headers)
        response = connection.getresponse()
        return response.status, {name.lower(): text for name, text in response.headers.items()}, response.read()
    finally:
        connection.close()


@pytest.fixture
def hooks(tmp_path: Path) -> Iterator[Hooks]:
    with serving(tmp_path) as found:
        yield found


def test_a_range_is_counted_and_digested(hooks: Hooks) -> None:
    assert hooks.send(alerts(3, 2, 0, -1, 1), URL)[0] == 200
    status, headers, body = got(hooks, f"{RANGE}&footer=1&digest=1")
    *lines, footer = body.splitlines()
    assert (status, headers["content-type"], headers["record-count"]) == (200, "application/x-ndjson", "3")
    assert [json.loads(line)["record_id"] for line in lines] == ["a0-ab", "a1-ab", "a2-ab"]
    assert json.loads(lines[0])["webhook"] == {"id": "a0-ab", "created_at": MS}
    assert json.loads(footer) == {"end": {"count": 3, "digest": lines_digest(lines).hex}}
    assert got(hooks, RANGE)[2].splitlines() == lines
    status, headers, body = got(hooks, RANGE, "HEAD")
    assert (status, headers["record-count"], body) == (200, "3", b"")
    assert got(hooks, RANGE.replace("22:16", "22:13") + "&footer=1")[2] == b'{"end":{"count":0}}\n'


def test_a_record_has_its_own_bytes(hooks: Hooks) -> None:
    number = "1.000000000000000000000000000010"
    body = alerts(0, risk=0).replace(b'"risk": 0', f'"risk": {number}'.encode())
    assert hooks.send(body, URL)[0] == 200
    status, headers, found = got(hooks, f"{BASE}/records/a0-ab")
    assert (status, headers["content-type"]) == (200, "application/json")
    assert number.encode() in found
    assert json.loads(found)["record_id"] == "a0-ab"
    assert got(hooks, f"{BASE}/records/none")[0] == 404
    assert got(hooks, "/api/v1/hooks/none/records/a0-ab")[0] == 404


def test_the_first_record_of_an_id_counts(hooks: Hooks) -> None:
    assert hooks.send(alerts(0), URL)[2]["archived"] == 1
    assert hooks.send(alerts(0, title="another"), URL)[2]["archived"] == 1
    lines = got(hooks, RANGE)[2].splitlines()
    assert [json.loads(line)["webhook"] for line in lines] == [{"id": "a0-ab", "created_at": MS}]
    found = json.loads(got(hooks, BASE)[2])
    assert (found["records"], found["differing"], found["open"]) == (2, 1, 0)


def test_what_there_is_of_a_webhook(hooks: Hooks) -> None:
    empty = json.loads(got(hooks, BASE)[2])
    assert (empty["records"], empty["newest"]) == (0, None)
    hooks.send(alerts(0, 1), URL)
    found = json.loads(got(hooks, BASE)[2])
    assert (found["name"], found["paths"], found["records"]) == ("vendor_alerts", [BASE], 2)
    assert (found["newest"], found["bytes"]) == ("2023-11-14T22:14:20.123000Z", 2 * len(RECORD))
    (listed,) = json.loads(got(hooks, "/api/v1/hooks")[2])["hooks"]
    assert listed | {"time": ""} == found | {"time": ""}
    assert got(hooks, "/api/v1/hooks/none")[0] == 404


def changes(hooks: Hooks, after: int) -> tuple[int, list[str]]:
    """The last number, and the minutes that changed."""
    found = json.loads(got(hooks, f"{BASE}/changes?after={after}")[2])
    assert found["more"] is False
    assert sorted(one["number"] for one in found["changes"]) == [one["number"] for one in found["changes"]]
    return found["number"], sorted(one["minute"] for one in found["changes"])


def test_changes_are_numbered(hooks: Hooks) -> None:
    first = json.loads(got(hooks, f"{BASE}/changes")[2])
    assert (first["number"], first["more"], first["changes"]) == (0, False, [])
    hooks.send(alerts(0, 2), URL)
    number, minutes = changes(hooks, 0)
    assert minutes == ["2023-11-14T22:13Z", "2023-11-14T22:15Z"]
    assert json.loads(got(hooks, f"{BASE}/changes")[2])["journal"] == first["journal"]
    hooks.send(alerts(0, 2), URL)
    assert changes(hooks, number) == (number, [])
    hooks.send(alerts(0, title="another"), URL)
    later, minutes = changes(hooks, number)
    assert later > number
    assert minutes == ["2023-11-14T22:13Z"]
    assert changes(hooks, 0) == (later, ["2023-11-14T22:13Z", "2023-11-14T22:15Z"])


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("end=2023-11-14T22:16Z", "start"),
        ("start=2023-11-14T22:16Z", "end"),
        ("start=yesterday&end=2023-11-14T22:16Z", "start"),
        ("start=2023-11-14T22:13:20Z&end=2023-11-14T22:16Z", "start"),
        ("start=0001-01-01&end=2023-11-14T22:16Z", "start"),
        ("start=2023-11-14T22:17Z&end=2023-11-14T22:16Z", "start"),
        ("start=2023-11-14T22:13Z&end=2023-11-14T22:16Z&limit=1", "limit"),
        ("start=2023-11-14T22:13Z&end=2023-11-14T22:16Z&digest=yes", "digest"),
    ],
)
def test_a_range_is_asked_for_exactly(hooks: Hooks, query: str, parameter: str) -> None:
    status, _, body = got(hooks, f"{BASE}/records?{query}")
    assert (status, json.loads(body)["parameter"]) == (400, parameter)


def test_more_than_one_chunk_keeps_its_order(hooks: Hooks) -> None:
    ids = [f"{number:04}-ab" for number in range(100)]
    found = [{"id": one, "created_at": MS} for one in reversed(ids)]
    hooks.send(json.dumps({"alerts": found}).encode(), URL)
    lines = got(hooks, RANGE)[2].splitlines()
    assert [json.loads(line)["record_id"] for line in lines] == ids


def test_tokens_are_asked_for_by_their_scopes(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    alerts_token = create_token(file, "alerts", [Scope.ALERTS_READ], NOW)
    status_token = create_token(file, "status", [Scope.STATUS_READ], NOW)
    archive = FileStore(tmp_path / "archive")
    config = HooksConfig((declared(),), lambda: archive, tmp_path / "alerts.db", {"HOOK_KEY": KEY}.get)
    with running(ServerConfig(tokens=file, shutdown_seconds=1), [HooksFeature(config)]) as server:
        hooks = Hooks(server.port, archive)
        assert hooks.send(alerts(0), URL)[0] == 200
        for url, token, other in (
            (RANGE, alerts_token, status_token),
            (f"{BASE}/records/a0-ab", alerts_token, status_token),
            (f"{BASE}/changes", alerts_token, status_token),
            (BASE, status_token, alerts_token),
            ("/api/v1/hooks", status_token, alerts_token),
        ):
            assert got(hooks, url)[0] == 401
            assert got(hooks, url, Authorization=f"Bearer {other}")[0] == 403
            assert got(hooks, url, Authorization=f"Bearer {token}")[0] == 200


class Forgetful(FileStore):
    """A store that lists an object that it does not have any more."""

    gone = ""

    def read(self, key: str, most: int | None = None) -> bytes | None:
        if self.gone and key.endswith(self.gone):
            return None
        return super().read(key, most)

    def keys(self, prefix: str = "", after: str = "") -> Iterator[str]:
        if self.gone == "*":
            raise StorageError("the archive is away.")
        yield from super().keys(prefix, after)


def test_a_stream_that_fails_is_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Forgetful(tmp_path / "archive")
    with serving(tmp_path, store=store) as hooks:
        hooks.send(json.dumps({"alerts": [{"id": f"{n:04}-ab", "created_at": MS} for n in range(100)]}).encode(), URL)
        store.gone = "0070-ab"
        with pytest.raises((HTTPException, OSError)):
            got(hooks, RANGE)
        assert "0070-ab went away while it was read" in capsys.readouterr().err
        assert got(hooks, f"{BASE}/records/0070-ab")[0] == 503
        store.gone = "*"
        status, headers, body = got(hooks, RANGE)
        assert (status, json.loads(body)["type"]) == (503, "/#archive-unavailable")
        assert headers["retry-after"] == "30"
        store.gone = ""
        assert len(got(hooks, RANGE)[2].splitlines()) == 100


@pytest.mark.parametrize("removed", ["13", "14", "15", ""])
def test_a_folder_that_was_removed_is_not_an_empty_range(tmp_path: Path, removed: str) -> None:
    with serving(tmp_path, declared(archive="", path=ORIGINAL)) as hooks:
        hooks.send(alerts(0, 1, 2), f"{ORIGINAL}/{KEY}")
        folder = tmp_path / "archive" / "webhooks" / "2023" / "11" / "14" / "22"
        shutil.rmtree(folder / removed)
        for url in (RANGE, f"{ORIGINAL}?start=2023-11-14T22:12Z&end=2023-11-14T22:16Z"):
            status, _, body = got(hooks, url)
            assert (status, json.loads(body)["type"]) == (500, "/#archive-incomplete")
            assert f"does not have webhooks/2023/11/14/22/{removed or 13}/a" in json.loads(body)["detail"]
        assert got(hooks, RANGE, "HEAD")[0] == 500
        # A page that ends before the range does.
        page = f"{ORIGINAL}?start=2023-11-14T22:12Z&end=2023-11-14T22:16Z&limit=1"
        assert got(hooks, page)[0] == (500 if removed in {"13", "14", ""} else 200)
        assert got(hooks, RANGE.replace("T22:16", "T22:13"))[0] == 200
        if removed:
            assert got(hooks, RANGE.replace("T22:16", f"T22:{removed}"))[0] == 200
    receiver = Receiver(declared(archive=""), {"HOOK_KEY": KEY}, Archive(hooks.store), Journal(tmp_path / "alerts.db"))
    assert receiver.reindex() == (2 if removed else 0)
    with serving(tmp_path) as hooks:
        assert len(got(hooks, RANGE)[2].splitlines()) == (2 if removed else 0)


def test_what_another_server_archived_is_listed(tmp_path: Path) -> None:
    with serving(tmp_path) as hooks:
        hooks.send(alerts(0, 2), URL)
        hooks.store.create("webhooks/2023/11/14/22/14/a1-ab", RECORD.encode())
        lines = got(hooks, RANGE)[2].splitlines()
        assert [json.loads(line)["record_id"] for line in lines] == ["a0-ab", "a1-ab", "a2-ab"]


def test_only_the_range_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(tmp_path) as hooks:
        for day in range(5):
            hooks.send(alerts(day * 1440, day * 1440 + 60), URL)
        listed: list[str] = []
        entries = FileStore._entries

        def noted(store: FileStore, folder: str) -> list[str]:
            listed.append(folder)
            return entries(store, folder)

        monkeypatch.setattr(FileStore, "_entries", noted)
        assert len(got(hooks, RANGE.replace("11-14", "11-16"))[2].splitlines()) == 1
        assert not [folder for folder in listed if "11/14" in folder or "11/15" in folder or "11/17/" in folder]
