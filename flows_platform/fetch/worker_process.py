"""Another process that makes something of parts, one after the other: they come through one pipe, results leave by one.

No thread hands anything over, as executors do it: those wait for the interpreter while this process decodes, and the
other one then waits for them. Here the pipe itself is the queue; it holds what is on its way, so that sending to it
does not wait either.
"""

import fcntl
import gc
import pickle
import signal
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

WAITING = 3  # parts for the process: one at work, the others on their way
PIPE_BYTES = 1 << 20  # what Linux gives anyone; 64 KiB without asking, less than a part
PAGE = 4096  # bytes: a pipe is filled by pages
STARTED = b""


@dataclass(slots=True, eq=False)
class WorkerProcess[T]:
    """Runs `work` on the arguments that it is given; started at once, ready some time later.

    It ends with this one, however that ends.
    """

    work: Callable[..., T | None]
    _parts: Connection = field(init=False)
    _results: Connection = field(init=False)
    _room: int = field(init=False)  # bytes that the parts' pipe holds
    _process: BaseProcess = field(init=False)
    _started: bool = False
    _lost: bool = False
    _waiting: "deque[Pending[T]]" = field(default_factory=deque)

    def __post_init__(self) -> None:
        """Starts it: a fresh interpreter, since threads of this one may hold locks, which a fork would copy."""
        context = get_context("spawn")
        its_parts, self._parts = context.Pipe(duplex=False)
        self._results, its_results = context.Pipe(duplex=False)
        self._room = _widened(self._parts)
        _widened(its_results)
        with its_parts, its_results:
            self._process = context.Process(target=_run, args=(self.work, its_parts, its_results), daemon=True)
            self._process.start()

    @property
    def waiting(self) -> int:
        """How many parts it has got and given no result of."""
        return len(self._waiting)

    def take(self, *arguments: object) -> "Pending[T] | None":
        """`work` with these arguments; None where it is not free, or there no more."""
        self.receive()
        if not self._started or self._lost or len(self._waiting) >= WAITING:
            return None
        part = pickle.dumps(arguments, pickle.HIGHEST_PROTOCOL)
        size = (len(part) // PAGE + 2) * PAGE
        if self._waiting and size + sum(each.size for each in self._waiting) > self._room:
            return None  # sending would wait until it reads, and it might wait until its results are read
        try:
            self._parts.send_bytes(part)
        except OSError:
            self._lose()
            return None
        result = Pending(self, size)
        self._waiting.append(result)
        return result

    def receive(self, *, wait: bool = False) -> None:
        """Takes the results that are there; with `wait` at least one, if any is to come."""
        try:
            while not self._lost and (wait or self._results.poll()):
                self._receive_one()
                wait = False
        except (EOFError, OSError):
            self._lose()

    def _receive_one(self) -> None:
        received = self._results.recv_bytes()
        if self._started:
            self._waiting.popleft().settle(pickle.loads(received))  # noqa: S301 - written by our own process
        self._started = True

    def _lose(self) -> None:
        self._lost = True
        while self._waiting:
            self._waiting.popleft().settle(None)

    def close(self) -> None:
        """End it, which lets its parts go."""
        self._lose()
        self._process.terminate()
        self._process.join()
        self._parts.close()
        self._results.close()


@dataclass(slots=True, eq=False)
class Pending[T]:
    """What another process makes of a part; `size` are the bytes it took on its way there."""

    process: WorkerProcess[T]
    size: int
    _settled: bool = False
    _value: T | None = None

    def settle(self, value: T | None) -> None:
        self._settled, self._value = True, value

    def ready(self) -> bool:
        """Whether it need not be waited for."""
        if not self._settled:
            self.process.receive()
        return self._settled

    def get(self) -> T | None:
        """Waits for it; None if nothing was made of the part."""
        while not self._settled:
            self.process.receive(wait=True)
        return self._value


def _widened(pipe: Connection) -> int:
    """The bytes that it holds, as many as can be had; 0 where that cannot be told."""
    if sys.platform != "linux":
        return 0
    with suppress(OSError):  # this user's pipes hold too much already
        return fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return fcntl.fcntl(pipe.fileno(), fcntl.F_GETPIPE_SZ)


def _run(work: Callable[..., object], parts: Connection, results: Connection) -> None:
    """In the other process. Ctrl-C is for the parent, whose end is the pipes' end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()  # values go with their last use; looking for cycles among thousands of rows takes a tenth
    with suppress(EOFError, OSError):
        results.send_bytes(STARTED)
        while True:
            arguments = pickle.loads(parts.recv_bytes())  # noqa: S301 - written by our own process
            results.send_bytes(pickle.dumps(_tried(work, arguments), pickle.HIGHEST_PROTOCOL))


def _tried(work: Callable[..., object], arguments: tuple[Any, ...]) -> object:
    """None where it fails: then it fails in the parent too, in front of who must know."""
    try:
        return work(*arguments)
    except Exception:  # noqa: BLE001 - whatever it is
        return None
