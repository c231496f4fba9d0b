"""Two servers over one archive, with one journal or a journal each: acknowledged is archived, and nothing is twice."""

import json
import random
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from flows_platform.stores.file_store import FileStore
from flows_platform.webhooks.archive import Archive
from flows_platform.webhooks.archived_records import RecordReader
from flows_platform.webhooks.journal import Journal
from flows_platform.webhooks.journal_index import FIRST, LAST
from tests.faults.hooks_world import World, batches, running, send_all
from tests.faults.scale import scaled

pytestmark = pytest.mark.slow

RUNS = scaled(full=20, ci=1)
JOURNALS = [("alerts.db", "alerts.db"), ("one.db", "two.db")]


def send_to_both(worlds: list[World], sent: list[list[bytes]], dice: random.Random, seed: int) -> None:
    """The same deliveries to both at once, while one of them is killed and starts again."""
    orders = [dice.sample(sent, len(sent)) for _ in worlds]
    senders = [
        threading.Thread(target=send_all, args=(world, order, 10, seed))
        for world, order in zip(worlds, orders, strict=True)
    ]
    for sender in senders:
        sender.start()
    time.sleep(dice.uniform(0.0, 0.1))
    worlds[1].kill()
    worlds[1].start()
    for sender in senders:
        sender.join()


def read_by(world: World) -> list[str]:
    """The keys of all records, as a server with that journal reads them."""
    journal = Journal(world.folder / world.journal)
    reader = RecordReader("vendor_alerts", Archive(FileStore(world.folder / "archive")), journal, has_details=False)
    try:
        return list(reader.between(FIRST, LAST))
    finally:
        journal.close()


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(RUNS))
@pytest.mark.parametrize("journals", JOURNALS, ids=["one journal", "a journal each"])
def test_two_servers_over_one_archive(tmp_path: Path, journals: tuple[str, str], seed: int) -> None:
    dice = random.Random(seed)
    # A journal knows one time of an id; with a journal each, an id with two minutes would be two records.
    sent = batches(dice, 60_000 if journals[0] == journals[1] else 1_000)
    worlds = [World(tmp_path, journal=name) for name in journals]
    with ExitStack() as servers:
        for world in worlds:
            servers.enter_context(running(world))
        send_to_both(worlds, sent, dice, seed)
    acknowledged = {record for world in worlds for record in world.acknowledged}
    assert acknowledged <= set(worlds[0].held) <= {record for batch in sent for record in batch}
    counts = [world.rerun() for world in worlds]
    held = Counter(worlds[0].held)
    assert [count.open for count in counts] == [0, 0]
    assert acknowledged <= set(held)
    if journals[0] == journals[1]:
        assert set(held.values()) == {1}
        assert counts[0].records == len(held)
    keys = [read_by(world) for world in worlds]
    ids = [key.rpartition("/")[2] for key in keys[0]]
    assert keys[0] == keys[1]
    assert sorted(ids) == sorted(set(ids)) == sorted({json.loads(record)["id"] for record in held})
