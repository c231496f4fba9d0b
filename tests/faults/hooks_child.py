"""Takes deliveries and fetches details as the server does: hooks_child.py FOLDER.

It writes down which deliveries it acknowledged, and which details it asked for.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from flows_platform.domain.errors import PlatformError
from flows_platform.stores.file_store import FileStore
from flows_platform.webhooks.archive import Archive
from flows_platform.webhooks.delivery import Delivery
from flows_platform.webhooks.detail_queue import DetailQueue
from flows_platform.webhooks.detail_worker import DetailWorker
from flows_platform.webhooks.journal import Journal
from flows_platform.webhooks.receiver import Receiver
from tests.webhooks.declared import KEY, declared
from tests.webhooks.deliveries import delivery

type Batch = list[tuple[str, int]]

MS = 1_700_000_000_123
# Two records of one minute, one of another, an id with other bytes, and a record again.
BATCHES: list[Batch] = [[("5a3c", 0), ("5a3d", 0)], [("5a3e", 60_000)], [("5a3c", 1), ("5a3d", 0)]]


def record(name: str, later: int) -> str:
    return f'{{"id": "{name}", "created_at": {MS + later}}}'


def sent(batch: Batch) -> Delivery:
    text = f'{{"alerts": [{", ".join(record(*one) for one in batch)}]}}'
    return delivery(text.encode(), None, KEY)


def detail(record_id: str) -> bytes:
    return b'{"id": "%s"}' % record_id.encode()


class Vendor:
    """A vendor without a network: what is asked for is written down."""

    concurrency = 1
    lease_seconds = 100.0

    def __init__(self, asked: int) -> None:
        self._asked = asked

    def detail(self, record_id: str, record: Callable[[], bytes]) -> bytes:  # noqa: ARG002 - as the others
        os.write(self._asked, f"{record_id}\n".encode())
        return detail(record_id)

    def close(self) -> None:
        """Has nothing to end."""


def fetch_details(folder: Path, archive: Archive, journal: Journal) -> None:
    """Fetch the details that are missing. The clock is a day later in every process, when leases have ended."""
    asked = os.open(folder / "asked", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    starts = os.open(folder / "starts", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(starts, b"\n")
    now = 2_000_000_000.0 + 86_400 * os.fstat(starts).st_size
    queue = DetailQueue(journal, "vendor_alerts")
    queue.adopt(now)
    worker = DetailWorker(queue, archive, Vendor(asked), lambda: now)
    while worker.step() == 0:
        pass


def main(folder: Path) -> None:
    acknowledged = os.open(folder / "acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    path = folder / "alerts.db"
    journal = Journal(path)
    archive = Archive(FileStore(folder / "archive"))
    receiver = Receiver(declared(archive=""), {"HOOK_KEY": KEY}, archive, journal, lambda: None)
    if not receiver.is_indexed:
        receiver.reindex()
    receiver.drain()
    for number, batch in enumerate(BATCHES):
        receiver.receive(sent(batch))
        os.write(acknowledged, f"{number}\n".encode())
    fetch_details(folder, archive, journal)
    journal.close()


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except (PlatformError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        sys.exit(1)
