"""Processes as the kernel counts them: a child's wall time, CPU time and peak memory; a process tree's memory.

Peaks are VmHWM, read while the process lives. Not `ru_maxrss`: it keeps what the parent held before the exec.
"""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.environment import child_environment
from flows_platform.cli.commands.meanwhile import meanwhile
from flows_platform.domain.errors import ProcessFailed

# Seconds between two looks: one costs a millisecond of a core that a second process may need. What a process takes in
# its last twentieth of a second is not seen.
POLL = 0.05
TICKS = os.sysconf("SC_CLK_TCK")
SHOWN = 2000  # bytes of a failed command's last words


@dataclass(frozen=True, slots=True)
class Usage:
    """What a command took: seconds by the clock, CPU-seconds with all children it waited for, peak memory in bytes."""

    seconds: float
    cpu: float
    rss: int


def run(
    command: Sequence[str], *, settings: Mapping[str, str] = {}, output: Path | None = None, seen: bool = False
) -> Usage:
    """Run a command to its end; what it prints goes to the file `output`, or nowhere. `seen` leaves it the terminal.

    Raises:
        ProcessFailed: it ended with an exit code other than 0; with its last words.
    """
    with tempfile.TemporaryFile() as errors, (output or Path(os.devnull)).open("wb") as printed:
        started = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603 - our own commands, no shell
            command,
            env=child_environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=None if seen else errors,
            start_new_session=True,  # Ctrl-C comes only to us, and we end the command with all its children
        )
        with _ended_with_us(process.pid), _watched(process.pid) as peak:
            _, status, taken = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(max(0, errors.seek(0, os.SEEK_END) - SHOWN))
            words = errors.read().decode(errors="replace").strip()
            raise ProcessFailed(f"{' '.join(command)} ended with exit code {process.returncode}: {words}")
    return Usage(seconds, taken.ru_utime + taken.ru_stime, peak.bytes)


@contextmanager
def _ended_with_us(group: int) -> Iterator[None]:
    """Ends the process group where the wait for it is interrupted."""
    try:
        yield
    except BaseException:
        os.killpg(group, signal.SIGTERM)
        os.waitpid(group, 0)
        raise


@dataclass(slots=True)
class Peak:
    """The peaks of a process and its descendants, as far as they were looked at; `bytes` is their sum."""

    pid: int
    _seen: dict[int, int] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        return sum(self._seen.values())

    def look(self) -> None:
        for pid in tree(self.pid):
            self._seen[pid] = max(self._seen.get(pid, 0), memory(pid, "VmHWM"))


@contextmanager
def _watched(pid: int) -> Iterator[Peak]:
    peak = Peak(pid)
    peak.look()
    with meanwhile(peak.look, POLL, "peak memory"):
        yield peak


def tree(pid: int, without: int = 0) -> Iterator[int]:
    """A process and its descendants that live, but for the process `without` and its own."""
    yield pid
    for task in _listed(Path(f"/proc/{pid}/task")):
        for child in map(int, _read(task / "children").split()):
            if child != without:
                yield from tree(child, without)


def memory(pid: int, entry: str) -> int:
    """`VmHWM` (peak) or `VmRSS` (now) of a process in bytes; 0 for one that is gone."""
    for line in _read(Path(f"/proc/{pid}/status")).splitlines():
        if line.startswith(f"{entry}:"):
            return int(line.split()[1]) * 1024
    return 0


def largest_peak(pid: int) -> int:
    """The peak of the largest process of a tree: a server's own, not its guard's."""
    return max(memory(process, "VmHWM") for process in tree(pid))


def cpu_seconds(pid: int) -> float:
    """CPU-seconds of the living processes of a tree, with the children they waited for."""
    total = 0
    for process in tree(pid):
        fields = _read(Path(f"/proc/{process}/stat")).rpartition(")")[2].split()
        total += sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime
    return total / TICKS


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""  # the process has ended


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return []  # as above
