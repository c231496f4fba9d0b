"""A server of webhooks on a socket, in a thread of this process, and one request to it."""

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from api_server.config import ServerConfig
from api_server.hooks.feature import HooksConfig, HooksFeature
from flows_platform.stores.file_store import FileStore
from flows_platform.stores.object_store import ObjectStore
from flows_platform.webhooks.declaration import WebhookDeclaration
from tests.api_server.conftest import running
from tests.webhooks.declared import KEY, declared

MS = 1_700_000_000_123
MINUTE = "webhooks/2023/11/14/22/13"
PATH = "/api/v1/hooks/vendor_alerts"
ORIGINAL = "/api/v1/s3/alert"
URL = f"{PATH}?key={KEY}"

type Answer = tuple[int, dict[str, str], Any]


def body(*ids: str) -> bytes:
    return json.dumps({"alerts": [{"id": one, "created_at": MS} for one in ids]}).encode()


class Hooks:
    """A server of webhooks over a store."""

    def __init__(self, port: int, store: ObjectStore) -> None:
        self.port, self.store = port, store

    def send(self, sent: bytes | None, url: str = URL, method: str = "POST", **headers: str) -> Answer:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, url, sent, {name.replace("_", "-"): text for name, text in headers.items()})
            response = connection.getresponse()
            text = response.read()
            return response.status, dict(response.headers), json.loads(text) if text else None
        finally:
            connection.close()

    def raw(self, *pieces: bytes) -> bytes:
        """The answer to bytes, up to the end of the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            for piece in pieces:
                connection.sendall(piece)
            found = b""
            while data := connection.recv(65536):
                found += data
            return found

    @property
    def keys(self) -> list[str]:
        return [key for key in list(self.store.keys()) if "deliveries/" not in key]


@contextmanager
def serving(
    folder: Path,
    *declarations: WebhookDeclaration,
    store: ObjectStore | None = None,
    environment: Mapping[str, str] | None = None,
    **settings: Any,
) -> Iterator[Hooks]:
    held = store or FileStore(folder / "archive")
    config = HooksConfig(
        declarations or (declared(archive=""),),
        lambda: held,
        folder / "alerts.db",
        (environment or {"HOOK_KEY": KEY}).get,
        **settings,
    )
    with running(ServerConfig(shutdown_seconds=1), [HooksFeature(config)]) as server:
        yield Hooks(server.port, held)
