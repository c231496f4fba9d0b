"""A kill or an I/O error at every write-like system call of a step: what it makes is the old one or the new one.

Each point of a good run is hit in a run of its own. One rerun without a fault converges, and nothing half-made stays
behind.
"""

import random
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest

from flows_platform.cli.commands.services import api_child
from flows_platform.domain.errors import PlatformError
from flows_platform.domain.verification import RowDigest
from flows_platform.flow_database.load import load
from flows_platform.flow_database.read import iter_rows
from flows_platform.local.ports import free_port
from flows_platform.local.supervisor import Supervisor
from flows_platform.settings import load_settings
from flows_platform.sources.lanl_flows.cleaning import clean
from flows_platform.sources.lanl_flows.sample.generator import generate
from flows_platform.sources.lanl_flows.schema import FLOWS
from flows_platform.window_files.parquet import file_digest
from tests.faults.injection import can_trace, points, run, run_with
from tests.faults.scale import scaled

CALLS = ("write", "pwrite64", "writev", "fsync", "fdatasync", "rename", "renameat", "renameat2", "ftruncate", "unlink")
FAULTS = ("signal=SIGKILL", "error=EIO", "error=ENOSPC")
POINTS = scaled(full=10_000, ci=4)  # a step has 15 to 40 of them
SEED = 7


pytestmark = [
    pytest.mark.faults,
    pytest.mark.slow,
    pytest.mark.skipif(not can_trace(), reason="strace cannot trace here"),
]


@dataclass(frozen=True)
class Step:
    """A command, and how to put its old result in place and to read what is there."""

    arguments: tuple[str, ...]
    restore: Callable[[], None]
    held: Callable[[], object]

    @property
    def command(self) -> tuple[str, ...]:
        return (sys.executable, "-m", "flows_platform", *self.arguments)


def survive(step: Step, folder: Path) -> None:
    """Hit each point with each fault; old or new after each, new after a rerun."""
    step.restore()
    old = step.held()
    assert run(step.command) == 0
    new = step.held()
    assert old != new
    step.restore()
    every = list(product(FAULTS, points(step.command, CALLS, folder / "trace")))
    for fault, point in random.Random(SEED).sample(every, min(POINTS, len(every))):
        step.restore()
        code = run_with(fault, point, step.command)
        assert step.held() in ([new] if code == 0 else [old, new]), (fault, point)
        assert run(step.command) == 0
        assert step.held() == new, (fault, point)
        assert [path.name for path in folder.rglob(".*.tmp")] == [], (fault, point)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Two raw files and what is made of them, old and new."""
    for number, version in enumerate(("old", "new")):
        generate(tmp_path / f"{version}.txt", rows=1500 + number, days=1, seed=number)
        with (tmp_path / f"{version}.txt").open("a") as raw:
            raw.write(f"{version},is,short\n")
        clean(tmp_path / f"{version}.txt", tmp_path / f"{version}.csv", tmp_path / f"{version}.rejects")
        load(tmp_path / f"{version}.csv", tmp_path / f"{version}.db", FLOWS)
    (tmp_path / "out").mkdir()
    return tmp_path


def test_clean(files: Path) -> None:
    made, rejects = files / "out" / "made.csv", files / "out" / "made.rejects"

    def restore() -> None:
        shutil.copy(files / "old.csv", made)

    def held() -> bytes:
        return made.read_bytes()

    survive(
        Step(("clean", str(files / "new.txt"), "--out", str(made), "--rejects", str(rejects)), restore, held), files
    )


def test_load(files: Path) -> None:
    made = files / "out" / "made.db"

    def restore() -> None:
        shutil.copy(files / "old.db", made)

    def held() -> RowDigest:
        return RowDigest.of(iter_rows(made, FLOWS))

    survive(Step(("load", str(files / "new.csv"), "--database", str(made)), restore, held), files)


@pytest.fixture
def url(files: Path) -> Iterator[str]:
    """The API over the new database."""
    settings = load_settings(home=files / "home", api_port=free_port())
    settings.files.database.parent.mkdir(parents=True)
    shutil.copy(files / "new.db", settings.files.database)
    with Supervisor() as supervisor:
        supervisor.start(api_child(settings))
        yield settings.stream_url


def test_fetch(files: Path, url: str) -> None:
    made, old = files / "out" / "made.parquet", files / "old.parquet"
    arguments = ("fetch", "--url", url, "--before", "86400", "--out")
    earlier = (*arguments[:-2], "40000", "--out", str(old))
    assert run(Step(earlier, lambda: None, lambda: None).command) == 0

    def restore() -> None:
        shutil.copy(old, made)

    def held() -> RowDigest | str:
        try:
            return file_digest(made)
        except (OSError, PlatformError) as error:
            return repr(error)

    survive(Step((*arguments, str(made)), restore, held), files)
