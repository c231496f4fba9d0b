"""A fault at one system call of a command, by strace: the calls are found by tracing a good run. Knows no commands."""

import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TIMEOUT = 120
STRACE = ("strace", "-f", "-qq")


def can_trace() -> bool:
    strace = shutil.which("strace")
    return bool(strace) and subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], check=False).returncode == 0


@dataclass(frozen=True, order=True)
class Point:
    """The call of that number among those of its name; each thread counts its own."""

    call: str
    number: int


def run(command: Sequence[str]) -> int:
    """The exit code, or the signal as a negative number."""
    return subprocess.run(command, capture_output=True, check=False, timeout=TIMEOUT).returncode


def points(command: Sequence[str], calls: Sequence[str], trace: Path) -> list[Point]:
    """Every one of `calls` that a good run makes; of those to open a file, the ones that may create it."""
    assert run([*STRACE, "-e", f"trace={','.join(calls)}", "-o", str(trace), *command]) == 0
    found, made = set(), Counter[tuple[str, str]]()
    for line in trace.read_text(errors="replace").splitlines():
        thread, rest = line.split(maxsplit=1)
        call = rest.partition("(")[0]
        made[thread, call] += 1
        if call in calls and (call != "openat" or "O_CREAT" in rest):
            found.add(Point(call, made[thread, call]))
    return sorted(found)


def run_with(fault: str, point: Point, command: Sequence[str]) -> int:
    """As `run`, with strace's `fault` at the point."""
    injected = f"inject={point.call}:{fault}:when={point.number}"
    return run([*STRACE, "-e", f"trace={point.call}", "-e", injected, "-o", "/dev/null", *command])
