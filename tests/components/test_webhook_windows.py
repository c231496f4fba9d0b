"""Windows of a webhook's table, read from a real server of the archive: exact, proven, or not at all."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from api_server.config import ServerConfig
from api_server.hooks import streams
from api_server.hooks.feature import HooksConfig, HooksFeature
from flows_platform.cli.commands.source_add import webhooks
from flows_platform.cli.commands.source_try import run_try
from flows_platform.components.webhook_files import load_webhooks
from flows_platform.domain.verification import RowDigest
from flows_platform.settings import Settings
from flows_platform.stores.file_store import FileStore
from flows_platform.webhooks.detail_worker import Vendor
from tests.api_server.conftest import running
from tests.api_server.hooks.served import Hooks
from tests.api_server.hooks.test_read_routes import got
from tests.conditions import eventually
from tests.webhooks.declared import KEY
from tests.webhooks.deliveries import github, standard

MS = 1_700_000_000_123  # 2023-11-14T22:13:20.123Z, in the window that begins at 21:00
WINDOW = "2023-11-14-21:00"
STANDARD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECRETS = {"THREATSTACK_HOOK_SECRET": KEY, "GITHUB_HOOK_SECRET": KEY, "STANDARD_HOOK_SECRET": STANDARD}
ALERT = {"title": "Netcat", "severity": 1, "organization_id": "5257", "server_or_region": "web-1", "source": "host"}


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWS_HOME", str(tmp_path / "home"))


@contextmanager
def shipped(name: str, monkeypatch: pytest.MonkeyPatch, vendor: Vendor | None = None) -> Iterator[Hooks]:
    """A server of the shipped webhook of that name, whose file is source.yaml; `vendor` has its details."""
    Path("source.yaml").write_text(webhooks()[name].read_text())
    archive = FileStore(Path("archive"))
    received = load_webhooks(Path("source.yaml"), Settings())
    vendors: dict[str, Callable[[], Vendor]] = {name: lambda: vendor} if vendor else {}
    config = HooksConfig(received, lambda: archive, Path("journal.db"), SECRETS.get, vendors)
    with running(ServerConfig(shutdown_seconds=1), [HooksFeature(config)]) as server:
        monkeypatch.setenv("FLOWS_HOOKS_URL", f"http://127.0.0.1:{server.port}")
        yield Hooks(server.port, archive)


def tried(capsys: pytest.CaptureFixture[str], window: str = WINDOW) -> dict[str, Any]:
    """What a try of the window says."""
    run_try("source.yaml", window, limit=None, out=Path("rows.parquet"), as_json=True)
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def rows() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table("rows.parquet").to_pylist()
    return found


def test_alerts_become_rows_with_every_field(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with shipped("threatstack_alerts", monkeypatch) as hooks:
        alerts = [ALERT | {"id": "52ebb55f", "created_at": MS}, {"id": "52ebb560", "created_at": str(MS), "new": [1]}]
        later = {"id": "52ebb561", "created_at": MS + 3 * 3_600_000}
        body = json.dumps({"alerts": [*alerts, later]}).encode()
        assert hooks.send(body, f"/api/v1/s3/alert/{KEY}")[0] == 200
        answer = tried(capsys)
        assert (answer["rows"], answer["rejected"], answer["verification"]) == (2, 0, "L3 digest")
    first, second = rows()
    assert (first["alert_id"], first["severity"], first["server"], first["extra_fields"]) == (
        "52ebb55f",
        1,
        "web-1",
        None,
    )
    assert first["created_at"].isoformat() == "2023-11-14T22:13:20.123000+00:00"
    assert (second["alert_id"], second["extra_fields"]) == ("52ebb560", '{"$.webhook.new":[1]}')


class Rules:
    """A vendor that has the rule of every alert but those of `without`."""

    concurrency, lease_seconds = 1, 600.0

    def __init__(self, *without: str) -> None:
        self._without = without

    def detail(self, record_id: str, record: Callable[[], bytes]) -> bytes | None:  # noqa: ARG002 - as real ones
        found = {"id": record_id, "rule_id": f"rule of {record_id}", "severity": 3, "unread": True}
        return None if record_id in self._without else json.dumps(found, indent=1).encode()

    def close(self) -> None:
        """Nothing is open."""


def test_rows_have_what_details_say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with shipped("threatstack_alerts", monkeypatch, Rules("52ebb560")) as hooks:
        alerts = [ALERT | {"id": one, "created_at": MS} for one in ("52ebb55f", "52ebb560")]
        assert hooks.send(json.dumps({"alerts": alerts}).encode(), f"/api/v1/s3/alert/{KEY}")[0] == 200
        assert eventually(lambda: not json.loads(got(hooks, "/api/v1/hooks/threatstack_alerts")[2])["pending"], 60)
        assert tried(capsys)["rejects"] == []
    present, absent = rows()
    assert (present["rule_id"], present["severity"], present["detail_state"]) == ("rule of 52ebb55f", 3, "present")
    assert json.loads(present["extra_fields"]) == {"$.detail.unread": True}
    assert (absent["rule_id"], absent["severity"], absent["detail_state"]) == (None, 1, "absent")
    assert present["detail_at"] > present["created_at"]
    assert absent["detail_at"] is None


def test_a_window_without_alerts_is_proven_empty(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with shipped("threatstack_alerts", monkeypatch):
        answer = tried(capsys)
        assert (answer["rows"], answer["verification"]) == (0, "L3 digest")


def test_a_digest_that_differs_fails_the_window(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLOWS_RETRY_ATTEMPTS", "1")
    with shipped("threatstack_alerts", monkeypatch) as hooks:
        hooks.send(json.dumps({"alerts": [{"id": "52ebb55f", "created_at": MS}]}).encode(), f"/api/v1/s3/alert/{KEY}")
        monkeypatch.setattr(streams, "lines_digest", lambda lines: RowDigest(len(lines), 7))
        answer = tried(capsys)
        assert (
            "the source's digest is 0000000000000007, but that of the received lines is" in answer["error"]["message"]
        )
        monkeypatch.setattr(streams, "lines_digest", lambda lines: RowDigest(len(lines) + 1, 7))
        assert "the source's footer declares 2 records, but 1 came" in tried(capsys)["error"]["message"]


def test_githubs_alerts(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    alert = {
        "number": 7,
        "created_at": "2023-11-14T22:13:20Z",
        "state": "open",
        "html_url": "https://github.example/acme/app/security/dependabot/7",
        "security_advisory": {"severity": "high", "summary": "A crafted archive is unpacked elsewhere"},
    }
    body = json.dumps({"action": "created", "alert": alert, "repository": {"full_name": "acme/app"}}).encode()
    with shipped("github_alerts", monkeypatch) as hooks:
        ping = b'{"zen": "Design for failure."}'
        assert hooks.send(ping, "/api/v1/hooks/github_alerts", **github(KEY, ping), X_GitHub_Event="ping")[0] == 200
        assert hooks.send(body, "/api/v1/hooks/github_alerts", **github(KEY, body))[0] == 200
        answer = tried(capsys, "2023-11-14-00:00")
        assert (answer["rows"], answer["rejected"]) == (1, 0)
    (row,) = rows()
    assert (row["delivery_id"], row["action"], row["severity"]) == ("72d3162e-cc78-11e3", "created", "high")
    assert (row["repository"], json.loads(row["alert"])) == ("acme/app", alert)


def test_events_of_standard_webhooks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    body = json.dumps({"type": "user.created", "timestamp": "2023-11-14T22:13:20.1234567Z", "data": {"id": 1}}).encode()
    with shipped("standard_events", monkeypatch) as hooks:
        headers = standard(STANDARD, body, "msg_2KWPBgLl", time=int(time.time()))
        assert hooks.send(body, "/api/v1/hooks/standard_events", **headers)[0] == 200
        answer = tried(capsys, "2023-11-14-22:00")
        assert (answer["rows"], answer["rejects"]) == (1, [])
    (row,) = rows()
    assert (row["event_id"], row["event_type"], row["data"]) == ("msg_2KWPBgLl", "user.created", '{"id":1}')
