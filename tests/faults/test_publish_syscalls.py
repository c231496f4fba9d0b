"""A kill or an error at every call by which a publisher reaches the warehouse or its lock: the window is old or new.

Each point has a window of its own, so that the publisher always finds one job before its own. One more publication
converges, although the statement of a killed publisher may still run, and the whole table has no row lost or doubled.
"""

import random
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product
from pathlib import Path
from uuid import uuid4

import pytest

from flows_platform.domain.verification import RowDigest
from flows_platform.local.emulator import Emulator
from flows_platform.sources.lanl_flows.schema import FLOWS_TABLE
from flows_platform.warehouse.replace_window import Publication
from flows_platform.warehouse.warehouse import Warehouse, emulator_client
from flows_platform.window_files.check import CheckedFile
from tests.faults.injection import can_trace, points, run_with
from tests.faults.publish_child import TYPED
from tests.faults.scale import scaled
from tests.warehouse.flow_rows import Row, flow, window, write_parquet

CALLS = (
    "write",
    "pwrite64",
    "openat",
    "flock",
    "fsync",
    "rename",
    "unlink",
    "connect",
    "sendto",
    "sendmsg",
    "recvfrom",
)
# Not ECONNRESET: urllib3 takes one of a send for an answer that came early, and the connection here is whole.
FAULTS = ("signal=SIGKILL", "error=EIO", "error=ETIMEDOUT")
POINTS = scaled(full=10_000, ci=4)  # a publication has some 30, each with three faults
LOCK_CALLS = {"openat", "flock"}  # their failure leaves as the OSError that it is, after which nothing was published
SEED = 7
OLD, NEW = 10, 40  # rows

pytestmark = [
    pytest.mark.slow,
    pytest.mark.faults,
    pytest.mark.skipif(not can_trace(), reason="strace cannot trace here"),
]


def rows_of(number: int, count: int) -> list[Row]:
    """A window's rows; its first ones differ from version to version."""
    return [flow(number * 1000 + row, number * 10800 + row, packet_count=count) for row in range(count)]


@dataclass(frozen=True)
class Publisher:
    """Publishes versions of windows, in a process that can be hit or in this one."""

    warehouse: Warehouse
    emulator: Emulator
    folder: Path

    def made(self, number: int, count: int) -> Publication:
        path = write_parquet(self.folder / "window.parquet", rows_of(number, count))
        return Publication(FLOWS_TABLE, window(number), CheckedFile(path, "sha", count), "Run")

    def publish(self, number: int, count: int) -> None:
        self.warehouse.replace_window(self.made(number, count))

    def command(self, number: int, count: int) -> list[str]:
        path = self.made(number, count).file.location
        child = [sys.executable, "-m", "tests.faults.publish_child", self.emulator.url, str(self.emulator.key_file)]
        return [*child, self.warehouse.dataset, *map(str, (self.warehouse.locks, number, path, count))]

    def held(self, number: int) -> RowDigest:
        return self.warehouse.digest(FLOWS_TABLE, window(number))


@pytest.fixture
def publisher(emulator: Emulator, tmp_path: Path) -> Iterator[Publisher]:
    with emulator_client(emulator.url, "local", "US", emulator.key_file) as client:
        dataset, locks = f"test_{uuid4().hex}", tmp_path / "locks"
        warehouse = Warehouse(client, dataset, "US", locks, timeout=60.0, attempts=1)
        warehouse.ensure_table(FLOWS_TABLE)
        yield Publisher(warehouse, emulator, tmp_path)


def test_publish(publisher: Publisher, tmp_path: Path) -> None:
    publisher.publish(0, OLD)
    every = list(product(FAULTS, points(publisher.command(0, NEW), CALLS, tmp_path / "trace")))
    chosen = random.Random(SEED).sample(every, min(POINTS, len(every)))
    for number, (fault, point) in enumerate(chosen, start=1):
        publisher.publish(number, OLD)
        old, new = (RowDigest.of(rows_of(number, count)) for count in (OLD, NEW))
        code = run_with(fault, point, publisher.command(number, NEW))
        held = publisher.held(number)
        assert held in ([new] if code == 0 else [old, new]), (fault, point)
        assert code in {0, TYPED, -signal.SIGKILL} or point.call in LOCK_CALLS, (fault, point)
        publisher.publish(number, NEW)
        assert publisher.held(number) == new, (fault, point)
    everything = [row for number in range(len(chosen) + 1) for row in rows_of(number, NEW)]
    assert publisher.warehouse.digest(FLOWS_TABLE) == RowDigest.of(everything)
    replace(publisher.warehouse, expiry=timedelta(0)).ensure_table(FLOWS_TABLE)  # sweeps what was killed
    tables = publisher.warehouse.client.list_tables(publisher.warehouse.dataset)
    assert [table.table_id for table in tables] == [FLOWS_TABLE.name]
