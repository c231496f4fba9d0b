"""A child that crashes is restarted after ever longer waits, and not for ever."""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from flows_platform.domain.errors import ProcessFailed
from flows_platform.local.child import ChildProcess
from flows_platform.local.restarts import Restarts
from flows_platform.local.supervisor import Supervisor

# Counts its starts in a file. Crashes at the named starts; otherwise a file shows that it is ready.
CHILD = """
import pathlib, sys, time
count, ready, crashing = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3].split(",")
count.write_text(count.read_text() + "x" if count.exists() else "x")
if str(len(count.read_text())) in crashing:
    sys.exit(3)
ready.touch()
time.sleep(600)
"""


class Back(Exception):
    """Ends `keep` in a test."""


def child(folder: Path, crashing: str) -> ChildProcess:
    count, ready = folder / "count", folder / "ready"
    argv = (sys.executable, "-c", CHILD, str(count), str(ready), crashing)
    return ChildProcess("thing", argv, folder / "log", ready=ready.exists)


def test_waits_double_up_to_the_longest_and_end_after_the_most() -> None:
    account = Restarts(first=1, longest=6, most=4, within=100)
    assert [account.delay("a", now) for now in (0, 10, 20, 30, 40)] == [1, 2, 4, 6, None]
    assert account.delay("b", 40) == 1


def test_a_child_that_ran_long_enough_starts_from_the_first_wait_again() -> None:
    account = Restarts(first=1, longest=60, most=2, within=100)
    assert [account.delay("a", now) for now in (0, 50, 120, 300)] == [1, 2, 2, 1]


def test_a_killed_child_is_started_again_and_that_is_said(tmp_path: Path) -> None:
    said: list[str] = []

    def tell(line: str) -> None:
        said.append(line)
        if line == "thing is back.":
            raise Back

    with Supervisor() as supervisor:
        (started,) = supervisor.start(child(tmp_path, crashing="2"))
        (tmp_path / "ready").unlink()
        os.killpg(started.pid, signal.SIGKILL)
        with pytest.raises(Back):
            supervisor.keep(tell, Restarts(first=0.01))
        assert [running.child.name for running in supervisor.children] == ["thing"]
    assert (tmp_path / "count").read_text() == "xxx"  # the second start crashed before it was ready
    assert said == [
        "thing ended with exit code -9; starting it again in 0.01 s.",
        "thing ended with exit code 3; starting it again in 0.02 s.",
        "thing is back.",
    ]


def test_a_child_that_runs_but_serves_no_more_is_ended_and_started_again(tmp_path: Path) -> None:
    said: list[str] = []

    def serves() -> bool:
        (tmp_path / "ready").unlink()
        return False

    def tell(line: str) -> None:
        said.append(line)
        if line == "thing is back.":
            raise Back

    with Supervisor() as supervisor:
        supervisor.start(replace(child(tmp_path, crashing=""), serves=serves))
        with pytest.raises(Back):
            supervisor.keep(tell, Restarts(first=0.01), look=0.1)
    assert (tmp_path / "count").read_text() == "xx"
    assert said == [
        "thing runs but no longer serves; stopping it.",
        "thing ended with exit code 143; starting it again in 0.01 s.",
        "thing is back.",
    ]


def test_a_child_that_keeps_crashing_ends_it_with_its_last_lines(tmp_path: Path) -> None:
    with Supervisor() as supervisor:
        (started,) = supervisor.start(child(tmp_path, crashing="2,3,4,5"))
        (tmp_path / "ready").unlink()
        os.killpg(started.pid, signal.SIGKILL)
        with pytest.raises(ProcessFailed, match="thing ended with exit code 3 before it was ready"):
            supervisor.keep(lambda _: None, Restarts(first=0.01, most=3))
    assert (tmp_path / "count").read_text() == "xxxx"
