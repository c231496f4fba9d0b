"""The API server as a child process, and what the kernel says of it. No tests."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.api_server.conftest import Server

CODE = """
import json, sys
from pathlib import Path
from api_server.config import ServerConfig
from api_server.cves.feature import CveFeature
from api_server.flows.feature import FlowsFeature
from api_server.flows.state import FlowsConfig
from api_server.server import run
features = [FlowsFeature(FlowsConfig(Path(sys.argv[1]))), CveFeature(None)]
run(ServerConfig(**json.loads(sys.argv[2])), features, "127.0.0.1", 0)
"""


@dataclass(frozen=True)
class ServerChild:
    """A server and its process."""

    process: subprocess.Popen[str]
    server: Server
    log: Path

    def peak_memory(self) -> int:
        """The most bytes that were ever resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    def open_files(self) -> int:
        """Descriptors of any kind."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def open_databases(self) -> int:
        """Descriptors of databases, deleted ones included: each belongs to a connection with its cursors."""
        return sum(".db" in target for target in self._targets())

    def warmed_up(self) -> int:
        """Descriptors once everything that is opened once is open."""
        self.server.get("/api/v1/stream/flows?limit=1000")
        return self.open_files()

    def _targets(self) -> Iterator[str]:
        for entry in Path(f"/proc/{self.process.pid}/fd").iterdir():
            try:
                yield str(entry.readlink())
            except FileNotFoundError:
                continue  # closed since it was listed


@contextmanager
def child(database: Path, settings: str = "{}") -> Iterator[ServerChild]:
    """A server that ends with the block; `settings` are fields of ServerConfig as JSON."""
    log = database.with_suffix(".log")
    with (
        log.open("w") as file,
        subprocess.Popen([sys.executable, "-W", "error", "-c", CODE, str(database), settings], stderr=file) as process,
    ):
        try:
            yield ServerChild(process, Server(_port(process, log)), log)  # type: ignore[arg-type]
        finally:
            process.kill()


def _port(process: "subprocess.Popen[bytes]", log: Path) -> int:
    while process.poll() is None:
        if found := re.search(r"serving .* on http://127\.0\.0\.1:(\d+)/", log.read_text()):
            return int(found[1])
    raise AssertionError(log.read_text())
