"""One child process: what it is, and its life from start to stop. `supervisor.Supervisor` keeps several."""

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from flows_platform.domain.errors import ConfigurationError, ProcessFailed
from flows_platform.local import guard
from flows_platform.local.ports import Address
from flows_platform.runtime.locks import try_lock

# Receives a child's output, a line at a time, with its name in front; called from the child's own thread.
type Sink = Callable[[str], None]

LAST_LINES = 15
LONGEST_LINE = 64 * 1024


def discard(line: str) -> None:
    """A sink that drops the output; the log file has it too."""


@dataclass(frozen=True, slots=True)
class ChildProcess:
    """A process to run.

    `ready` says whether it serves yet, and may raise a Transient if it never will. `serves` says whether it still
    serves: some processes run on without serving. `prepare` runs before each start while `lock` is held; the child then
    keeps the lock. `tries` is the number of starts in all. `env` is the whole environment; None: this process's own.
    """

    name: str
    argv: Sequence[str]
    log: Path
    ready: Callable[[], bool] = lambda: True
    serves: Callable[[], bool] = lambda: True
    env: Mapping[str, str] | None = None
    addresses: Sequence[Address] = ()
    lock: Path | None = None
    prepare: Callable[[], None] = lambda: None
    ready_timeout: float = 60.0
    tries: int = 1

    def check_ports(self) -> None:
        """Raises a ConfigurationError for the first address that another process listens on."""
        for address in self.addresses:
            address.check_free(self.name)

    def take_lock(self) -> tuple[int, ...]:
        """The descriptor of the lock, if there is one, for the child to inherit."""
        if self.lock is None:
            return ()
        descriptor = try_lock(self.lock)
        if descriptor is None:
            raise ConfigurationError(
                f"{self.name}: another process uses {self.lock.parent}.",
                remedy="Stop it (perhaps another `flows dev` or `flows demo`), or set another folder.",
            )
        return (descriptor,)


@dataclass(slots=True)
class RunningChild:
    """A child that was started, under its guard."""

    child: ChildProcess
    sink: Sink
    grace: float
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))
    _process: subprocess.Popen[bytes] = field(init=False)
    _reader: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        locks = self.child.take_lock()
        try:
            self.child.prepare()
            self._process = self._start(locks)
        finally:
            for descriptor in locks:  # the child's copy holds the lock from here on
                os.close(descriptor)
        self._reader = threading.Thread(target=self._read, name=f"output of {self.child.name}", daemon=True)
        self._reader.start()

    def _start(self, locks: Sequence[int]) -> subprocess.Popen[bytes]:
        command = (sys.executable, "-I", "-S", guard.__file__, str(self.grace))
        return subprocess.Popen(  # noqa: S603 - the platform's own commands, no shell
            [*command, *self.child.argv],
            env=self.child.env,
            stdin=subprocess.PIPE,  # the guard's lifeline: never written, closed by this process's end
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=locks,
        )

    def _read(self) -> None:
        self.child.log.parent.mkdir(parents=True, exist_ok=True)
        stream = self._process.stdout
        assert stream is not None  # noqa: S101 - a pipe was asked for
        with self.child.log.open("ab") as log, stream:
            for line in iter(lambda: stream.readline(LONGEST_LINE), b""):
                log.write(line)
                log.flush()
                text = line.decode(errors="replace").rstrip()
                self.last_lines.append(text)
                self.sink(f"{self.child.name} | {text}")

    @property
    def pid(self) -> int:
        """The process group's id, which is the guard's."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """The exit code; None while the child runs."""
        return self._process.poll()

    def failure(self, what: str) -> ProcessFailed:
        """The error that says `what` happened, with the last lines of output."""
        if self.exit_code() is not None:
            self._reader.join(1.0)
        lines = "".join(f"\n  {line}" for line in self.last_lines) or "\n  (no output)"
        return ProcessFailed(f"{self.child.name} {what}. Its last lines:{lines}\n", remedy=f"See {self.child.log}.")

    def stop(self) -> None:
        """SIGTERM to the group, SIGKILL to what is left of it after the grace."""
        self._signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(self.grace)
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._reader.join(self.grace)
        if self._process.stdin:
            self._process.stdin.close()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
