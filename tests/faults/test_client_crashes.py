"""A fetch that is killed, or finds the disk full, at any moment: the old file or the new one, and a rerun repairs."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from flows_platform.domain.verification import RowDigest, Value
from flows_platform.window_files.parquet import file_digest
from flows_platform.window_files.quarantine import quarantine_path
from tests.faults.scale import scaled
from tests.fetch.flow_bodies import json_body, row
from tests.fetch.scripted import ScriptedServer, answer, scripted_server

pytestmark = pytest.mark.slow

SEEDED = random.Random(0)
# Keys that do not rise, repeats and rejects: each step of writing the window file has work to do.
GOOD = [row(number, time=number % 99 + 1) for number in range(1, 6_001)]
BAD = [row(number, byte_count=None) for number in range(20_000, 21_000)]
NEW = SEEDED.sample([*GOOD, *GOOD[:1000], *BAD], len(GOOD) + 1000 + len(BAD))
OLD = [row(number) for number in range(1, 51)]


def digest(rows: list[dict[str, object]]) -> RowDigest:
    return RowDigest.of(cast("tuple[Value, ...]", tuple(row.values())) for row in rows)


@dataclass
class Fetcher:
    """The child and the server it fetches from."""

    process: subprocess.Popen[str]
    server: ScriptedServer

    def start(self, target: Path, limit: int = 0) -> int:
        """Begin a fetch; the process id of its worker."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{self.server.url} {target} {limit}\n")
        self.process.stdin.flush()
        return int(self._line())

    def outcome(self) -> str:
        return self._line()

    def run(self, target: Path, limit: int = 0) -> str:
        self.start(target, limit)
        return self.outcome()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@pytest.fixture(scope="module")
def fetcher() -> Iterator[Fetcher]:
    with scripted_server() as server:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.fetch_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        yield Fetcher(process, server)
        process.communicate(timeout=60)


@pytest.fixture
def old(tmp_path: Path, fetcher: Fetcher) -> Path:
    """A window that was fetched before."""
    target = tmp_path / "window.parquet"
    fetcher.server.scripts = [answer(json_body(OLD))]
    assert fetcher.run(target) == "0"
    fetcher.server.scripts = [answer(json_body(NEW))]
    return target


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.faults
@pytest.mark.timeout(1200)  # 200 fetches killed and 200 whole
def test_a_killed_fetch_leaves_the_old_file_or_the_new_one(fetcher: Fetcher, old: Path) -> None:
    content = old.read_bytes()
    started = time.monotonic()
    assert fetcher.run(old) == "0"
    whole = time.monotonic() - started
    killed = 0
    # The first is killed at once, so that one is on any machine.
    for moment in [0.0, *(SEEDED.uniform(0, 1.1 * whole) for _ in range(scaled(200, 5)))]:
        old.write_bytes(content)
        worker = fetcher.start(old)
        time.sleep(moment)
        with suppress(ProcessLookupError):  # it may be done
            os.kill(worker, signal.SIGKILL)
        killed += fetcher.outcome() == "-9"
        assert file_digest(old) in {digest(OLD), digest(GOOD)}
        assert fetcher.run(old) == "0"
        assert file_digest(old) == digest(GOOD)
        assert names(old.parent) == sorted([old.name, quarantine_path(old).name])
    assert killed


@pytest.mark.faults
def test_a_full_disk_is_told_and_leaves_the_old_file(fetcher: Fetcher, old: Path) -> None:
    content = old.read_bytes()
    trial = old.with_name("trial.parquet")
    assert fetcher.run(trial) == "0"
    largest = max(trial.stat().st_size, quarantine_path(trial).stat().st_size)
    for path in (trial, quarantine_path(trial)):
        path.unlink()
    for limit in [1, largest - 1, *(SEEDED.randrange(1, largest) for _ in range(scaled(50, 4)))]:
        outcome = fetcher.run(old, limit)
        assert outcome.startswith("StorageError: "), outcome
        assert "File too large" in outcome
        assert old.read_bytes() == content
        assert names(old.parent) in ([old.name], sorted([old.name, quarantine_path(old).name]))
    assert fetcher.run(old, largest + 1) == "0"
    assert file_digest(old) == digest(GOOD)
