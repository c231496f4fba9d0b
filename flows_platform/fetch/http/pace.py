"""How long a transfer may take: a deadline, a minimum rate, and a watch that ends a read which does not return.

A read timeout never fires on a trickle: one byte now and then resets it. Only the time spent waiting for the source
counts against its rate; our own parsing does not.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

WATCH_EVERY = 0.25  # seconds between two checks by the watch

type Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Seconds to connect, for one read, and for a window in all; the least bytes a second, averaged over a while."""

    connect: float = 10.0
    read: float = 60.0
    total: float = 3600.0
    rate: float = 1024.0
    rate_over: float = 60.0


@dataclass(slots=True)
class Pace:
    """The account of one transfer. `begin` and `end` enclose each read."""

    limits: HttpLimits
    clock: Clock
    deadline: float
    _since: float | None = None
    _waited: float = 0.0
    _came: int = 0

    def begin(self) -> None:
        self._since = self.clock()

    def end(self, received: int) -> None:
        self._waited += self.clock() - (self._since or 0.0)
        self._since = None
        self._came += received

    def stuck(self) -> str:
        """Why the read under way must end; empty if it may go on. Any thread may call it."""
        now, since = self.clock(), self._since
        # guard: total deadline
        if now >= self.deadline:
            return f"is not done {self.limits.total:g} s after the window was started"
        # guard: a read that does not return
        if since is not None and now - since >= self.limits.read:
            return f"did not finish a read within {self.limits.read:g} s"
        return ""

    def fault(self) -> str:
        """Why there must be no further read; empty if there may be one. Call it between two reads."""
        return self.stuck() or self._slow()

    def _slow(self) -> str:
        """Check the rate when the waits since the last check fill its period."""
        waited, came = self._waited, self._came
        if waited < self.limits.rate_over:
            return ""
        self._waited, self._came = 0.0, 0
        # guard: least rate
        slow = came < self.limits.rate * waited
        return f"sends {came / waited:,.0f} bytes a second, less than {self.limits.rate:,.0f}" if slow else ""


@dataclass(slots=True)
class Watch:
    """A thread, for the length of one answer, that calls `abort` when the pace has a fault during a read."""

    pace: Pace
    abort: Callable[[], None]
    fault: str = ""
    _done: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._look, daemon=True, name="transfer watch")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        if self._thread:
            self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(WATCH_EVERY):
            self.fault = self.pace.stuck()
            if self.fault:
                self.abort()
                return
