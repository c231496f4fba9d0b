"""A receiver that keeps what is posted to it, and a small platform with a sensor."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import dagster as dg
import pytest

from flows_platform.orchestration.notifications.sensor import notifications_sensor


@dataclass
class Receiver:
    """The messages that arrived, and the status to answer with."""

    url: str
    posts: list[dict[str, Any]] = field(default_factory=list)
    status: int = 204

    def arrived(self) -> list[tuple[str, str, str]]:
        """Event, kind and problem of the messages that arrived since the last call."""
        came = [(post["event"], post["kind"], post["problem"]) for post in self.posts]
        self.posts.clear()
        return came


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A real HTTP server, set as the notification URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if hook.status < 300:
                hook.posts.append(body)
            self.send_response(hook.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    hook = Receiver(f"http://127.0.0.1:{server.server_port}/hook-canary")
    monkeypatch.setenv("FLOWS_NOTIFICATION_URL", hook.url)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield hook
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Looker:
    """The sensor as the daemon runs it, tick after tick, with its cursor."""

    instance: dg.DagsterInstance
    definitions: dg.Definitions
    cursor: str | None = None

    def look(self) -> dg.SensorResult:
        context = dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, repository_def=self.definitions.get_repository_def()
        )
        result = notifications_sensor()(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        return result
