"""A frozen warehouse delays a window up to its deadline; others go on once the warehouse answers again."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from google.cloud import bigquery

from flows_platform.domain.errors import WarehouseUnavailable
from flows_platform.domain.windows import Window
from flows_platform.local.emulator import Emulator
from flows_platform.runtime.locks import exclusive
from flows_platform.sources.lanl_flows.schema import FLOWS_TABLE
from flows_platform.warehouse.jobs import Deadline, Jobs
from flows_platform.warehouse.replace_window import Publication, WindowChange
from flows_platform.warehouse.warehouse import Warehouse
from tests.warehouse.flow_rows import Row, flow, window

type Made = Callable[[Window, Sequence[Row]], Publication]


def _listener(port: int) -> int:
    """The process that listens on a port of this machine."""
    entry = f":{port:04X} 00000000:0000 0A"
    (inode,) = [line.split()[9] for line in Path("/proc/net/tcp").read_text().splitlines() if entry in line]
    for file in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):  # ended meanwhile
            if str(file.readlink()) == f"socket:[{inode}]":
                return int(file.parts[2])
    raise AssertionError(port)


@contextmanager
def frozen(emulator: Emulator) -> Iterator[None]:
    process = _listener(emulator.port)
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


@pytest.mark.slow
def test_a_frozen_warehouse_fails_the_window_and_the_next_goes_on(
    emulator: Emulator, warehouse: Warehouse, publication: Made
) -> None:
    first, second = (publication(window(number), [flow(number, number * 10800)]) for number in (0, 1))
    hasty = replace(warehouse, deadline=1.0, attempts=5)
    with frozen(emulator):
        with pytest.raises(WarehouseUnavailable):
            hasty.replace_window(first)
        with pytest.raises(WarehouseUnavailable):
            hasty.window_summary(FLOWS_TABLE, first.window)
    for made in (second, first):
        assert replace(warehouse, attempts=5).replace_window(made).inserted == 1
    assert warehouse.count(FLOWS_TABLE) == 2


def test_a_window_that_another_process_changes_is_waited_for_as_long(
    warehouse: Warehouse, publication: Made, client: bigquery.Client
) -> None:
    made = publication(window(0), [flow(0, 0)])
    warehouse.replace_window(made)
    (lock,) = [path for path in warehouse.locks.iterdir() if FLOWS_TABLE.name in path.name]
    dataset = bigquery.DatasetReference("local", warehouse.dataset)
    change = WindowChange(FLOWS_TABLE, made.window, made.labels, made.doing)
    with exclusive(lock), pytest.raises(WarehouseUnavailable, match=r"0 s after it began.*FLOWS_PUBLISH_DEADLINE"):
        change.run("SELECT 1", Jobs(client, dataset, "US", deadline=Deadline(0.0)), warehouse.locks)


def test_a_request_gets_what_is_left() -> None:
    assert Deadline(1e9).of(120.0, "asking") == 120.0
    assert 0 < Deadline(60.0).of(120.0, "asking") <= 60.0
    with pytest.raises(WarehouseUnavailable, match="asking: not done 0 s after"):
        Deadline(0.0).of(120.0, "asking")
