"""Starts, watches and stops child processes together. Knows no particular program and no Dagster.

    with Supervisor(sink=print) as supervisor:
        supervisor.start(api, emulator)
        supervisor.wait()

Each child runs in a process group of its own, under a guard that ends the group when this process dies, even by
SIGKILL. Leaving the block stops all of them, last started first, whatever the reason for leaving.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Never, Self

from flows_platform.domain.errors import ProcessFailed, Transient
from flows_platform.local.child import ChildProcess, RunningChild, Sink, discard
from flows_platform.local.restarts import Restarts

POLL = 0.05
LOOK = 5.0  # seconds between two checks that all running children still serve


class Supervisor:
    """The children of one command. `grace` is the seconds between SIGTERM and SIGKILL."""

    def __init__(self, sink: Sink = discard, grace: float = 10.0) -> None:
        self._sink = sink
        self._grace = grace
        self._children: list[RunningChild] = []
        self._restore: Callable[[], None] = lambda: None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            previous = signal.signal(signal.SIGTERM, _leave)
            self._restore = lambda: _set_handler(previous)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with _undisturbed():
                self.stop()
        finally:
            self._restore()

    @property
    def children(self) -> list[RunningChild]:
        """Those that were started and not stopped, in order."""
        return list(self._children)

    def start(self, *children: ChildProcess) -> list[RunningChild]:
        """Start the children side by side and wait until all are ready.

        Raises:
            ConfigurationError: a port or a lock that a child needs is taken.
            ProcessFailed: a child ended or was not ready in time, after all its tries; with its last lines.
        """
        return self.await_ready(*self.launch(*children))

    def launch(self, *children: ChildProcess) -> list[RunningChild]:
        """Start the children without waiting: they get ready while the caller has other work.

        Raises:
            ConfigurationError: a port or a lock that a child needs is taken.
        """
        for child in children:
            child.check_ports()
        return [self._spawn(child) for child in children]

    def await_ready(self, *launched: RunningChild) -> list[RunningChild]:
        """The children once all are ready. A child that took another try is replaced by its new process.

        Raises:
            ProcessFailed: as `start` does.
        """
        return [self._until_ready(running) for running in launched]

    def _spawn(self, child: ChildProcess) -> RunningChild:
        running = RunningChild(child, self._sink, self._grace)
        self._children.append(running)
        return running

    def _until_ready(self, running: RunningChild) -> RunningChild:
        tries = running.child.tries
        while True:
            try:
                _await_readiness(running)
            except ProcessFailed:
                tries -= 1
                running.stop()
                if not tries:
                    raise
                self._children.remove(running)
                running = self._spawn(running.child)
            else:
                return running

    def wait(self, timeout: float | None = None) -> RunningChild | None:
        """The first child that ends; None after `timeout` seconds. SIGTERM and Ctrl-C raise out of it."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while deadline is None or time.monotonic() < deadline:
            for running in self._children:
                if running.exit_code() is not None:
                    return running
            time.sleep(POLL)
        return None

    def keep(self, report: Sink, restarts: Restarts | None = None, look: float = LOOK) -> Never:
        """Restart children that end or no longer serve, until SIGTERM or Ctrl-C raise; `report` gets a line for each.

        Raises:
            ProcessFailed: a child crashed too often; with its last lines.
        """
        account = restarts or Restarts()
        while True:
            if ended := self.wait(look):
                self._restart(ended, report, account)
            else:
                self._stop_unserving(report)

    def _stop_unserving(self, report: Sink) -> None:
        for running in self._children:
            if not running.child.serves():
                report(f"{running.child.name} runs but no longer serves; stopping it.")
                running.stop()

    def _restart(self, ended: RunningChild, report: Sink, account: Restarts) -> None:
        child, crash = ended.child, ended.failure(f"ended with exit code {ended.exit_code()}")
        while (delay := account.delay(child.name, time.monotonic())) is not None:
            report(f"{child.name} ended with exit code {ended.exit_code()}; starting it again in {delay:g} s.")
            ended.stop()
            self._children.remove(ended)
            time.sleep(delay)
            try:
                self._until_ready(self._spawn(child))
            except ProcessFailed as failure:
                crash = failure
                ended = next(running for running in self._children if running.child is child)
            else:
                report(f"{child.name} is back.")
                return
        raise crash

    def stop(self) -> None:
        """Stop all children, the last started first."""
        while self._children:
            self._children.pop().stop()


def _is_ready(running: RunningChild) -> bool:
    try:
        return running.child.ready()
    except Transient as error:
        raise running.failure(f"serves errors: {error}") from error


def _await_readiness(running: RunningChild) -> None:
    child = running.child
    deadline = time.monotonic() + child.ready_timeout
    while not _is_ready(running):
        if running.exit_code() is not None:
            raise running.failure(f"ended with exit code {running.exit_code()} before it was ready")
        if time.monotonic() > deadline:
            raise running.failure(f"was not ready after {child.ready_timeout:g} s")
        time.sleep(POLL)
    if running.exit_code() is not None:  # what answered was another process on the same port
        raise running.failure(f"ended with exit code {running.exit_code()}, yet something else answers at its address")


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _set_handler(previous: signal.Handlers | Callable[[int, FrameType | None], object] | int | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL if previous is None else previous)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ignore a further Ctrl-C or SIGTERM while the children stop, which takes no longer than the grace."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
