"""A server of webhooks that faults hit, and senders that retry as vendors do."""

import os
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from flows_platform.stores.file_store import FileStore
from flows_platform.webhooks.archive import Archive
from flows_platform.webhooks.journal import Counts, Journal
from flows_platform.webhooks.receiver import Receiver
from tests.faults.hooks_server import ENVIRONMENT, PATH, SECRET, declaration
from tests.webhooks.declared import KEY
from tests.webhooks.deliveries import standard

MS = 1_700_000_000_123


@dataclass
class World:
    """A folder, the server over it, and what was acknowledged."""

    folder: Path
    kind: str = "url_secret"
    minutes: int = 0
    body_seconds: float = 10
    journal: str = "alerts.db"
    acknowledged: list[bytes] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    port: int = 0
    process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the server; it takes a free port."""
        argv = [sys.executable, "-m", "tests.faults.hooks_server", str(self.folder), self.kind, str(self.minutes)]
        environment = os.environ | {"BODY_SECONDS": str(self.body_seconds), "JOURNAL": self.journal}
        with (self.folder / "log").open("a") as log:
            log.write("started\n")
            log.flush()
            self.process = subprocess.Popen(argv, stderr=log, text=True, env=environment)
        while not (found := re.findall(r"http://127\.0\.0\.1:(\d+)/", self._log_since_start())):
            assert self.process.poll() is None, self._log_since_start()
            time.sleep(0.01)
        self.port = int(found[0])

    def _log_since_start(self) -> str:
        return (self.folder / "log").read_text().rpartition("started\n")[2]

    def kill(self) -> None:
        """SIGKILL, no chance to tidy up."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def send(self, records: list[bytes], message: str) -> int:
        """One try to deliver; the status, or 0 where no answer came."""
        body = b'{"alerts": [' + b", ".join(records) + b"]}"
        url, headers = f"{PATH}?key={KEY}", dict[str, str]()
        if self.kind == "standard":
            url, headers = PATH, standard(SECRET, body, message, int(time.time()))
        status = self.post(body, url, headers)
        self.statuses.append(status)
        if status == 200:
            self.acknowledged += records
        return status

    def post(self, body: bytes, url: str = f"{PATH}?key={KEY}", headers: dict[str, str] | None = None) -> int:
        """The status of a POST; 0 where no answer came."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=600)
        with closing(connection):
            try:
                connection.request("POST", url, body, headers or {})
                response = connection.getresponse()
                response.read()
            except (OSError, HTTPException):
                return 0
            return response.status

    def deliver(self, records: list[bytes], message: str, tries: int, dice: random.Random) -> None:
        """Deliver as a vendor does: again after anything but 200, and not for ever."""
        for number in range(tries):
            if self.send(records, message) == 200:
                return
            time.sleep(dice.uniform(0.01, 0.04) * (number + 1))

    @property
    def held(self) -> list[bytes]:
        """The records in the archive. They are read without a store, which would tidy up."""
        return [path.read_bytes() for path in (self.folder / "archive" / "webhooks").rglob("*") if path.is_file()]

    def rerun(self) -> Counts:
        """What a process does that starts after the faults; it ends once nothing is left to do."""
        journal = Journal(self.folder / self.journal)
        archive = Archive(FileStore(self.folder / "archive"))
        declared = declaration(self.kind)
        receiver = Receiver(declared, declared.secrets(ENVIRONMENT.get), archive, journal)
        try:
            receiver.drain()
            return journal.counts(declared.name)
        finally:
            journal.close()


@contextmanager
def running(world: World) -> Iterator[World]:
    world.start()
    try:
        yield world
    finally:
        world.kill()


def record(name: str, later: int = 0) -> bytes:
    return f'{{"id": "{name}", "created_at": {MS + later}}}'.encode()


def batches(dice: random.Random, later: int = 60_000) -> list[list[bytes]]:
    """Deliveries of records, some of which come twice, and some with other bytes under the same id: a later time."""
    names = [f"id-{number:03}" for number in range(14)]
    drawn = [
        [(name, dice.choice([0, 0, 0, later])) for name in dice.sample(names, dice.randint(1, 4))] for _ in range(12)
    ]
    return [[record(*one) for one in batch] for batch in drawn]


def send_all(world: World, sent: list[list[bytes]], tries: int, seed: int, senders: int = 4) -> None:
    """All deliveries, by several senders at once."""

    def work(number: int) -> None:
        dice = random.Random(seed * 100 + number)
        for index in range(number, len(sent), senders):
            world.deliver(sent[index], f"msg_{index}", tries, dice)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
