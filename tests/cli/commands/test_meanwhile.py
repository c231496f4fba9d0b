"""Calls while a block runs: some, in a thread of their own, and none afterwards."""

import threading

import pytest

from flows_platform.cli.commands.meanwhile import meanwhile
from tests.conditions import eventually


def test_it_looks_while_the_block_runs_and_not_beyond() -> None:
    threads: list[str] = []
    with meanwhile(lambda: threads.append(threading.current_thread().name), 0.001, "looks"):
        assert eventually(lambda: len(threads) > 2)
    assert set(threads) == {"looks"}
    assert "looks" not in {thread.name for thread in threading.enumerate()}


def test_what_ends_the_block_ends_the_looks() -> None:
    with pytest.raises(KeyboardInterrupt), meanwhile(lambda: None, 60, "looks"):
        raise KeyboardInterrupt
    assert "looks" not in {thread.name for thread in threading.enumerate()}
