"""A lock has one holder at a time, and ends with the holder however it dies."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from flows_platform.runtime.locks import exclusive, try_lock

HOLD = """
import sys
from pathlib import Path
from flows_platform.runtime.locks import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_holds_it_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lock"
    with exclusive(path):
        assert try_lock(path) is None
    held = try_lock(path)
    assert held is not None
    assert try_lock(path) is None
    os.close(held)
    with exclusive(path):
        pass


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert try_lock(path) is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    held = try_lock(path)
    assert held is not None
    os.close(held)
