"""Another process that works on parts: what it makes of each, in order, and what comes of it where it cannot."""

import multiprocessing
import operator
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from flows_platform.fetch import worker_process
from flows_platform.fetch.worker_process import PIPE_BYTES, WAITING, Pending, WorkerProcess
from tests.conditions import eventually


@contextmanager
def started[T](worker: WorkerProcess[T], *arguments: object) -> Iterator[WorkerProcess[T]]:
    """The worker, once it has taken a part with these arguments and given its result."""
    with closing(worker):
        taken: list[Pending[T]] = []
        assert eventually(lambda: taken.extend(each for each in [worker.take(*arguments)] if each) or taken, seconds=60)
        taken[0].get()
        yield worker


def length_once(released: Path, content: bytes) -> int:
    """Of the content, once that file is there: as long as it is not, the process is at work on this part."""
    assert eventually(released.exists, seconds=60)
    return len(content)


def test_results_come_whether_they_are_waited_for_or_asked_after() -> None:
    with started(WorkerProcess(operator.mul), 1, 1) as worker:
        first, second = worker.take(6, 7), worker.take(b"x", PIPE_BYTES)
        assert first
        assert second
        assert eventually(second.ready)
        assert (first.get(), second.get()) == (42, b"x" * PIPE_BYTES)
        assert worker.waiting == 0


def test_a_part_on_which_it_fails_has_no_result_and_the_next_one_has() -> None:
    with started(WorkerProcess(operator.truediv), 1, 1) as worker:
        failing, good = worker.take(1, 0), worker.take(3, 2)
        assert failing
        assert good
        assert (failing.get(), good.get()) == (None, 1.5)


def test_it_takes_no_more_than_are_on_their_way(tmp_path: Path) -> None:
    released = tmp_path / "released"
    with started(WorkerProcess(length_once), tmp_path, b"") as worker:
        taken = [worker.take(released, b"x") for _ in range(WAITING + 1)]
        assert [each is not None for each in taken] == [True] * WAITING + [False]
        released.touch()
        assert [each.get() for each in taken if each] == [1] * WAITING


@pytest.mark.parametrize("pipe", [PIPE_BYTES, 4096])
def test_it_takes_nothing_that_would_wait_in_the_pipe(
    pipe: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the pipe holds, a worker that is free takes any part; one that is not takes what finds room."""
    monkeypatch.setattr(worker_process, "PIPE_BYTES", pipe)
    large, released = bytes(PIPE_BYTES // 2), tmp_path / "released"
    with started(WorkerProcess(length_once), tmp_path, b"") as worker:
        first, second = worker.take(released, large), worker.take(released, large)
        assert first
        assert second is None
        released.touch()
        assert first.get() == len(large)
        assert worker.take(released, large)


def test_one_that_is_killed_leaves_its_parts_without_result_and_takes_no_more() -> None:
    with started(WorkerProcess(time.sleep), 0) as worker:
        pending = worker.take(60)
        assert pending
        (process,) = multiprocessing.active_children()
        os.kill(process.pid or 0, signal.SIGKILL)
        assert pending.get() is None
        assert pending.ready()
        assert worker.take(0) is None
