"""A server of webhooks as a process of its own, with faults that files switch on: hooks_server.py FOLDER KIND MINUTES.

`KIND` is how deliveries are proven, `MINUTES` by how much the server's clock is off. While FOLDER has a file `full` or
`broken`, nothing in the archive can be synced or linked.
"""

import errno
import os
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from api_server.config import ServerConfig
from api_server.hooks import receive_routes
from api_server.hooks.feature import HooksConfig, HooksFeature
from api_server.server import run
from flows_platform.stores.file_store import FileStore
from flows_platform.webhooks.declaration import WebhookDeclaration
from tests.webhooks.declared import KEY, declared

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105
ENVIRONMENT = {"HOOK_KEY": KEY, "HOOK_SECRET": SECRET}
SWITCHES = {"full": errno.ENOSPC, "broken": errno.EIO}
PATH = "/api/v1/hooks/vendor_alerts"


def declaration(kind: str) -> WebhookDeclaration:
    if kind == "standard":
        return declared(archive="", verify={"kind": "standard", "secret": {"env": "HOOK_SECRET"}})
    return declared(archive="")


def failing(folder: Path, real: Callable[..., Any]) -> Callable[..., Any]:
    """The call, which fails while a file asks for it."""

    def call(*given: Any, **named: Any) -> Any:
        for name, code in SWITCHES.items():
            if (folder / name).exists():
                raise OSError(code, os.strerror(code))
        return real(*given, **named)

    return call


def main(folder: Path, kind: str, minutes: int) -> None:
    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Shifted":
            return cls.fromtimestamp((datetime.now(tz) + timedelta(minutes=minutes)).timestamp(), tz)

    vars(receive_routes)["datetime"] = Shifted
    os.fsync, os.link = failing(folder, os.fsync), failing(folder, os.link)
    config = HooksConfig(
        [declaration(kind)],
        lambda: FileStore(folder / "archive"),
        folder / os.environ.get("JOURNAL", "alerts.db"),
        ENVIRONMENT.get,
        body_seconds=float(os.environ.get("BODY_SECONDS", "10")),
        drain_seconds=0.05,
    )
    run(ServerConfig(shutdown_seconds=1), [HooksFeature(config)], "127.0.0.1", 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
