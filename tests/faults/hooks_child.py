"""Takes deliveries as the server does, and writes down each that is acknowledged: hooks_child.py FOLDER."""

import os
import sys
from pathlib import Path

from flows_platform.domain.errors import PlatformError
from flows_platform.stores.file_store import FileStore
from flows_platform.webhooks.archive import Archive
from flows_platform.webhooks.journal import Journal
from flows_platform.webhooks.receiver import Receiver
from tests.webhooks.declared import KEY, declared
from tests.webhooks.deliveries import delivery

MS = 1_700_000_000_123
# Two records of one minute, one of another, an id with other bytes, and a record again.
BATCHES = [[("5a3c", 0), ("5a3d", 0)], [("5a3e", 60_000)], [("5a3c", 1), ("5a3d", 0)]]


def record(name: str, later: int) -> str:
    return f'{{"id": "{name}", "created_at": {MS + later}}}'


def main(folder: Path) -> None:
    acknowledged = os.open(folder / "acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    path = folder / "alerts.db"
    is_new = not path.exists()
    journal = Journal(path)
    receiver = Receiver(declared(archive=""), {"HOOK_KEY": KEY}, Archive(FileStore(folder / "archive")), journal)
    if is_new:
        receiver.reindex()
    receiver.drain()
    for number, batch in enumerate(BATCHES):
        text = f'{{"alerts": [{", ".join(record(*one) for one in batch)}]}}'
        receiver.receive(delivery(text.encode(), None, KEY))
        os.write(acknowledged, f"{number}\n".encode())
    receiver.close()
    journal.close()


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except (PlatformError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        sys.exit(1)
