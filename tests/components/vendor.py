"""A vendor with a webhook, details and a list, for tests: its stand-in, its YAML, and a receiver of the project."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from api_server.config import ServerConfig
from api_server.hooks.feature import HooksConfig, HooksFeature
from flows_platform.components.webhook_files import webhook_named
from flows_platform.fetch.alert_detail import DetailApi
from flows_platform.settings import Settings, load_settings, secret
from flows_platform.stores.file_store import FileStore
from flows_platform.stores.object_store import Outcome
from tests.api_server.conftest import running
from tests.api_server.hooks.served import Hooks
from tests.fakes.serving import Answer, Asked
from tests.fakes.small_server import SmallServer, document

KEY = "a-long-key-of-the-sender"
TOKEN = "the-token-of-the-vendor"  # noqa: S105 - the stand-in's
SECRETS = {"VENDOR_HOOK_SECRET": KEY, "VENDOR_TOKEN": TOKEN}
SOURCE = """\
type: flows_platform.components.WebhookTable
attributes:
  name: vendor_alerts
  webhook:
    verify: {kind: bearer, secret: {env: VENDOR_HOOK_SECRET}}
    records: alerts
    id: id
    created_at: {path: created_at}
  detail:
    url: VENDOR/v1/alerts/{id}
    auth: {kind: bearer, token: {env: VENDOR_TOKEN}}
    record: alert
  reconcile:
    url: VENDOR/v1/alerts
    records: alerts
    auth: {kind: bearer, token: {env: VENDOR_TOKEN}}
    time: {after: from, before: to, before_inclusive: false}
  columns:
    - {name: alert_id, path: record_id, required: true}
    - {name: created_at, type: timestamp, path: webhook.created_at, required: true}
    - {name: severity, type: int64, path: [severity, webhook.severity]}
    - {name: rule, path: rule.name}
    - {name: detail_state}
    - {name: extra_fields, type: json}
  time: created_at
  key: alert_id
  extra: extra_fields
  partitions: {cron: 0 * * * *, start: 2024-03-01T00:00:00}
"""


def project(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A project with one folder of sources, and the secrets of its vendor."""
    (folder / "sources").mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("FLOWS_HOME", str(folder / "home"))
    monkeypatch.setenv("FLOWS_SOURCES", str(folder / "sources"))
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    return load_settings()


class Vendor(SmallServer):
    """Alerts by their ids; `listed` are those of its list, and `broken` those whose details fail."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.details: dict[str, dict[str, Any]] = {}
        self.listed: list[dict[str, Any]] = []
        self.token = TOKEN

    def _answer(self, asked: Asked) -> Answer:
        if asked.headers.get("authorization") != f"Bearer {self.token}":
            return document({"error": "no such token"}, 401)
        if asked.path == "/v1/alerts":
            inside = asked.parameters["from"], asked.parameters["to"]
            return document({"alerts": [one for one in self.listed if inside[0] <= one["created_at"] < inside[1]]})
        found = self.details.get(asked.path.rpartition("/")[2])
        return document({"alert": found}) if found else document({}, 404)


class WatchedStore(FileStore):
    """A store that counts its details."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.details = threading.Semaphore(0)

    def create(self, key: str, body: bytes) -> Outcome:
        outcome = super().create(key, body)
        if "/alerts/" in key:
            self.details.release()
        return outcome


@contextmanager
def receiving(vendor: Vendor, settings: Settings, text: str = SOURCE) -> Iterator[tuple[Hooks, WatchedStore]]:
    """The server of the project whose only source is the vendor's; `settings` name its folder of sources."""
    Path(settings.sources[0], "vendor.yaml").write_text(text.replace("VENDOR/", f"{vendor.origin}/"))
    webhook = webhook_named("vendor_alerts", settings)
    assert webhook.detail
    store = WatchedStore(settings.files.archive)
    opened = partial(DetailApi.of, webhook.detail, secret, settings.files.locks, webhook.name)
    config = HooksConfig([webhook], lambda: store, settings.journal, secret, {webhook.name: opened})
    with running(ServerConfig(shutdown_seconds=1), [HooksFeature(config)]) as server:
        yield Hooks(server.port, store), store


def alert(name: str, created: str = "2024-03-01T12:30:00Z", **more: object) -> dict[str, Any]:
    return {"id": name, "created_at": created, **more}


def deliver(hooks: Hooks, *alerts: dict[str, Any]) -> None:
    body = json.dumps({"alerts": alerts}).encode()
    status, _, answer = hooks.send(body, "/api/v1/hooks/vendor_alerts", Authorization=f"Bearer {KEY}")
    assert (status, answer["success"]) == (200, True)
