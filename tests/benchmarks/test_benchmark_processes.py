"""What a child process took: its own peak memory and CPU-seconds, its failure."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.environment import child_environment
from benchmarks.processes import cpu_seconds, memory, run, tree
from flows_platform.domain.errors import ProcessFailed
from tests.conditions import eventually

HOLD = "b = bytearray({size}); import time; time.sleep(1)"  # long enough to be looked at on a busy machine
MIB = 2**20


def python(program: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", program]


def test_the_peak_is_the_childs_own() -> None:
    held = bytearray(200 * MIB)
    held[::4096] = b"1" * len(held[::4096])
    small, large = run(python(HOLD.format(size=0))), run(python(HOLD.format(size=60 * MIB)))
    assert small.rss < 40 * MIB
    assert 50 * MIB < large.rss - small.rss < 70 * MIB


def test_the_peaks_of_a_pipeline_are_added() -> None:
    hold = f"{sys.executable} -I -S -c '{HOLD.format(size=30 * MIB)}'"
    assert run(["sh", "-c", f"{hold} | {hold}"]).rss > 60 * MIB


def test_cpu_seconds_are_counted_with_those_of_children() -> None:
    program = "import time\nwhile time.process_time() < 0.3: pass"
    assert run(["sh", "-c", f"{sys.executable} -I -S -c '{program}'; true"]).cpu >= 0.3


def test_what_a_command_prints_is_kept(tmp_path: Path) -> None:
    run(python("print('said')"), output=tmp_path / "out")
    assert (tmp_path / "out").read_text() == "said\n"


def test_a_failure_tells_the_last_words() -> None:
    with pytest.raises(ProcessFailed, match="exit code 3: the reason"):
        run(python("import sys; print('the reason', file=sys.stderr); sys.exit(3)"))


def test_this_process_is_in_its_own_tree() -> None:
    assert os.getpid() in set(tree(os.getpid()))
    assert memory(os.getpid(), "VmHWM") >= memory(os.getpid(), "VmRSS") > 0
    assert cpu_seconds(os.getpid()) > 0


def test_a_tree_is_had_without_one_of_its_processes_and_those_below_it() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 60 & wait"]) as shell:
        assert eventually(lambda: len(list(tree(shell.pid))) == 2)
        below = set(tree(shell.pid))
        assert below <= set(tree(os.getpid()))
        assert not below & set(tree(os.getpid(), without=shell.pid))
        for pid in below:
            os.kill(pid, signal.SIGKILL)


def test_a_process_that_is_gone_takes_nothing() -> None:
    assert memory(2**22 + 1, "VmRSS") == 0
    assert list(tree(2**22 + 1)) == [2**22 + 1]


def test_a_command_ends_with_the_wait_for_it(tmp_path: Path) -> None:
    """Interrupted as by Ctrl-C, in a process of its own."""
    program = f"""
import os, pathlib, signal, threading, time
from benchmarks.environment import child_environment
from benchmarks.processes import run
mark = pathlib.Path({str(tmp_path / "pid")!r})
def interrupt():
    while not (mark.exists() and mark.read_text().endswith("\\n")):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)
wait4 = os.wait4
def waited(*given):
    threading.Thread(target=interrupt).start()
    return wait4(*given)
os.wait4 = waited  # before the wait there is nothing to end with it
run(["sh", "-c", f"sleep 60 & echo $! > {{mark}}; wait"])
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], env=child_environment(), stderr=subprocess.PIPE, check=False
    )
    assert b"KeyboardInterrupt" in ended.stderr
    pid = int((tmp_path / "pid").read_text())
    assert eventually(lambda: memory(pid, "VmRSS") == 0)
