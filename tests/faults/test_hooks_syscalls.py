"""A kill or an I/O error at every write-like call of taking deliveries: what is acknowledged is in the archive.

Each point of a good run is hit in a run of its own. One rerun without a fault has every record once, and nothing
half-made stays behind.
"""

import random
import shutil
import sys
from itertools import product
from pathlib import Path

import pytest

from flows_platform.webhooks.journal import Counts, Journal
from tests.faults.hooks_child import BATCHES, record
from tests.faults.injection import can_trace, points, run, run_with
from tests.faults.scale import scaled

CALLS = ("write", "pwrite64", "fsync", "fdatasync", "openat", "mkdir", "link", "unlink", "ftruncate", "rename")
FAULTS = ("signal=SIGKILL", "error=EIO", "error=ENOSPC")
POINTS = scaled(full=10_000, ci=4)
SEED = 20
RECORDS = {record(*one).encode() for batch in BATCHES for one in batch}

pytestmark = [pytest.mark.faults, pytest.mark.skipif(not can_trace(), reason="strace cannot trace here")]


def held(folder: Path) -> list[bytes]:
    """The records in the archive. They are read without a store, which would tidy up."""
    return [path.read_bytes() for path in (folder / "archive" / "webhooks").rglob("*") if path.is_file()]


def acknowledged(folder: Path) -> set[bytes]:
    file = folder / "acknowledged"
    numbers = file.read_text().split() if file.exists() else []
    return {record(*one).encode() for number in numbers for one in BATCHES[int(number)]}


def test_what_is_acknowledged_is_in_the_archive(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = (sys.executable, "-m", "tests.faults.hooks_child", str(folder))
    folder.mkdir()
    every = list(product(FAULTS, points(command, CALLS, tmp_path / "trace")))
    assert len(every) > 100
    assert set(held(folder)) == acknowledged(folder) == RECORDS
    for fault, point in random.Random(SEED).sample(every, min(POINTS, len(every))):
        shutil.rmtree(folder)
        folder.mkdir()
        run_with(fault, point, command)
        assert acknowledged(folder) <= set(held(folder)), (fault, point)
        assert run(command) == 0, (fault, point)
        assert sorted(held(folder)) == sorted(RECORDS), (fault, point)
        assert list((folder / "archive" / ".new").iterdir()) == [], (fault, point)
        journal = Journal(folder / "alerts.db")
        assert journal.counts("vendor_alerts") == Counts(records=4, differing=1, open=0), (fault, point)
        journal.close()
