"""A signed delivery to the server's own process, its archive, a window in Dagster, the table in the warehouse."""

import json
import time
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from flows_platform.cli.commands.services import api_child
from flows_platform.orchestration.partitions import range_tags
from flows_platform.stores.opening import open_store
from tests.end_to_end.conftest import MakePlatform, Platform
from tests.webhooks.deliveries import standard

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - the tests'
HOURS = timedelta(hours=1)
SOURCE = """\
type: flows_platform.components.WebhookTable
attributes:
  name: events
  webhook:
    verify: {kind: standard, secret: {env: HOOK_SECRET}}
    created_at: {path: timestamp}
  columns:
    - {name: event_id, path: record_id, required: true}
    - {name: at, type: timestamp, path: timestamp, required: true}
    - {name: amount, type: numeric, path: data.amount}
    - {name: extra_fields, type: json}
  time: at
  key: event_id
  extra: extra_fields
  partitions: {cron: 0 * * * *, start: 2024-03-01T00:00:00}
"""


@pytest.fixture
def platform(make_platform: MakePlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """A project with a webhook alone: no flows, no database."""
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "webhook.yaml").write_text(SOURCE)
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    made = make_platform(sources=(str(folder),))
    monkeypatch.setenv("FLOWS_SOURCES", str(folder))
    monkeypatch.setenv("FLOWS_HOME", str(made.settings.files.home))
    return made


def send(platform: Platform, message: str, at: datetime, **data: Any) -> tuple[int, Any]:
    """The answer to a signed delivery."""
    body = json.dumps({"type": "paid", "timestamp": at.isoformat(), "data": data}).encode()
    connection = HTTPConnection("127.0.0.1", platform.settings.api_port, timeout=60)
    headers = standard(SECRET, body, message, int(time.time()))
    connection.request("POST", "/api/v1/hooks/events", body, headers)
    response = connection.getresponse()
    answer = response.status, json.loads(response.read())
    connection.close()
    return answer


def started(platform: Platform) -> None:
    platform.supervisor.await_ready(*platform.supervisor.launch(api_child(platform.settings)))


@pytest.mark.slow
def test_a_delivery_becomes_a_row(platform: Platform) -> None:
    started(platform)
    hour = datetime(2024, 3, 1, 9, tzinfo=UTC)
    done = {"success": True, "archived": 1, "repeated": 0}
    assert send(platform, "msg_1", hour, amount=0.1) == (200, done)
    assert send(platform, "msg_2", hour + HOURS - timedelta(microseconds=1), amount=12345678901234567.25) == (200, done)
    assert send(platform, "msg_3", hour + HOURS) == (200, done)
    assert send(platform, "msg_1", hour, amount=0.1) == (200, done | {"archived": 0, "repeated": 1})
    archived = [key for key in open_store(platform.settings.archive).keys("events") if "/webhooks/" in key]
    assert archived == [
        f"events/webhooks/2024/03/01/{place}" for place in ("09/00/msg_1", "09/59/msg_2", "10/00/msg_3")
    ]
    run = platform.run("events_windows_job", range_tags("2024-03-01-09:00", "2024-03-01-10:00"))
    assert run.success
    found = platform.query("SELECT event_id, at FROM events ORDER BY event_id")
    assert found == [
        ("msg_1", hour),
        ("msg_2", hour + HOURS - timedelta(microseconds=1)),
        ("msg_3", hour + HOURS),
    ]
    assert set(platform.checks(run.run_id).values()) == {True}
    assert platform.metadata("events_windows", "2024-03-01-09:00")["verification"] == "L3 digest"
