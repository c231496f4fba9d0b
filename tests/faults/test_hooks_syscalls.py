"""A kill or an I/O error at every write-like call of deliveries and details: nothing is lost or doubled.

Each point of a good run is hit in a run of its own. What is acknowledged is in the archive. One rerun without a fault
has every record and every detail once, and nothing half-made stays behind.
"""

import random
import shutil
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from flows_platform.domain.errors import StorageError
from flows_platform.webhooks.archive import Archive
from flows_platform.webhooks.detail_queue import DetailCounts, DetailQueue
from flows_platform.webhooks.journal import Counts, Journal
from flows_platform.webhooks.receiver import Receiver
from tests.faults.hooks_child import BATCHES, detail, record, sent
from tests.faults.injection import can_trace, points, run, run_with
from tests.faults.scale import scaled
from tests.webhooks.declared import KEY, declared
from tests.webhooks.test_receiver import Brittle

CALLS = ("write", "pwrite64", "fsync", "fdatasync", "openat", "mkdir", "link", "unlink", "ftruncate", "rename")
FAULTS = ("signal=SIGKILL", "error=EIO", "error=ENOSPC")
POINTS = scaled(full=10_000, ci=4)
SEED = 20
RECORDS = {record(*one).encode() for batch in BATCHES for one in batch}
DETAILS = {f"alerts/{name[:2]}/{name[2:]}/{name}": detail(name) for batch in BATCHES for name, _ in batch}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.faults,
    pytest.mark.skipif(not can_trace(), reason="strace cannot trace here"),
]


def held(folder: Path) -> list[bytes]:
    """The records in the archive. They are read without a store, which would tidy up."""
    return [path.read_bytes() for path in (folder / "archive" / "webhooks").rglob("*") if path.is_file()]


def details(folder: Path) -> dict[str, bytes]:
    """The details in the archive, by their keys."""
    archive = folder / "archive"
    found = (path for path in (archive / "alerts").rglob("*") if path.is_file())
    return {path.relative_to(archive).as_posix(): path.read_bytes() for path in found}


def acknowledged(folder: Path) -> set[bytes]:
    file = folder / "acknowledged"
    numbers = file.read_text().split() if file.exists() else []
    return {record(*one).encode() for number in numbers for one in BATCHES[int(number)]}


def cut_off(folder: Path) -> None:
    """Leave deliveries in the journal of which nothing is in the archive: what a drain finds."""
    folder.mkdir()
    store, journal = Brittle(folder / "archive"), Journal(folder / "alerts.db")
    store.failing = ""  # in every key
    receiver = Receiver(declared(archive=""), {"HOOK_KEY": KEY}, Archive(store), journal, lambda: None)
    for batch in BATCHES:
        with pytest.raises(StorageError):
            receiver.receive(sent(batch))
    assert journal.counts("vendor_alerts").open == len(BATCHES)
    journal.close()


@pytest.mark.parametrize("begin", [Path.mkdir, cut_off], ids=["new", "cut off"])
def test_what_is_acknowledged_is_in_the_archive(tmp_path: Path, begin: Callable[[Path], None]) -> None:
    folder = tmp_path / "run"
    command = (sys.executable, "-m", "tests.faults.hooks_child", str(folder))
    begin(folder)
    every = list(product(FAULTS, points(command, CALLS, tmp_path / "trace")))
    assert len(every) > 100
    assert set(held(folder)) == acknowledged(folder) == RECORDS
    assert details(folder) == DETAILS
    assert sorted((folder / "asked").read_text().split()) == ["5a3c", "5a3d", "5a3e"]
    for fault, point in random.Random(SEED).sample(every, min(POINTS, len(every))):
        shutil.rmtree(folder)
        begin(folder)
        run_with(fault, point, command)
        assert acknowledged(folder) <= set(held(folder)), (fault, point)
        assert run(command) == 0, (fault, point)
        assert sorted(held(folder)) == sorted(RECORDS), (fault, point)
        assert details(folder) == DETAILS, (fault, point)
        assert list((folder / "archive" / ".new").iterdir()) == [], (fault, point)
        journal = Journal(folder / "alerts.db")
        assert journal.counts("vendor_alerts") == Counts(records=4, differing=1, open=0), (fault, point)
        assert DetailQueue(journal, "vendor_alerts").counts() == DetailCounts(0, None, 0, ""), (fault, point)
        journal.close()
