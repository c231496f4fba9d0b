"""The slices of one stream, made ahead of its reader by several connections. Does not know formats or HTTP.

Every connection is a lane. Lanes take the next order from one queue, so a lane does not wait for the event loop between
two slices, and the others go on where a connection cannot be opened.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Protocol

from api_server.http.workers import Workers

type Span = tuple[int, int]


class Maker[T](Protocol):
    """A connection that makes a slice of positions `first..last`. `make` runs in one thread at a time."""

    def make(self, first: int, last: int) -> T:
        """A slice of the stream."""

    def interrupt(self) -> None:
        """Stop `make` from another thread."""

    def close(self) -> None:
        """Free the connection. May be called twice."""


@dataclass(eq=False, slots=True)
class Lane[T]:
    """A connection, opened with its first order, and its job in the workers' threads."""

    open: Callable[[], Maker[T] | None]
    maker: Maker[T] | None = None
    job: Future[None] | None = field(default=None, repr=False)


class Lanes[T]:
    """The lanes of one stream; `first` is open already, and up to `number - 1` more come from `another`."""

    def __init__(self, workers: Workers, first: Maker[T], another: Callable[[], Maker[T] | None], number: int) -> None:
        self._workers = workers
        self._lanes = [Lane(another) for _ in range(number - 1)] + [Lane(another, first)]
        self._lock = Lock()  # of everything below
        self._idle = list(self._lanes)
        self._orders: deque[tuple[Span, Future[T]]] = deque()
        self._closed = False

    def order(self, span: Span) -> Future[T]:
        """Have a slice made, once those that were ordered before have begun."""
        made: Future[T] = Future()
        with self._lock:
            self._orders.append((span, made))
            self._wake()
        return made

    def close(self) -> None:
        """Stop what runs and free the connections, here or in the threads that use them. Waits for no query."""
        with self._lock:
            self._closed = True
            for lane in self._lanes:
                if lane.maker is None:
                    continue  # a thread that is about to open it closes it
                if lane in self._idle or (lane.job and lane.job.cancel()):
                    lane.maker.close()
                else:
                    lane.maker.interrupt()

    def _wake(self) -> None:
        """Start an idle lane if there is work for it; the lock is held."""
        if self._orders and self._idle and not self._closed:
            self._start(self._idle.pop())

    def _start(self, lane: Lane[T]) -> None:
        lane.job = self._workers.submit(partial(self._work, lane))

    def _work(self, lane: Lane[T]) -> None:
        maker = lane.maker or self._opened(lane)
        while maker and (order := self._next(lane, maker)):
            fill(*order, maker)
            if self._workers.crowded:
                with self._lock:
                    self._start(lane)
                break

    def _opened(self, lane: Lane[T]) -> Maker[T] | None:
        """A further connection. Without one the lane is gone, and another takes its work."""
        try:
            lane.maker = lane.open()
        finally:
            if lane.maker is None:
                with self._lock:
                    self._wake()
        return lane.maker

    def _next(self, lane: Lane[T], maker: Maker[T]) -> tuple[Span, Future[T]] | None:
        """The next order; without one the lane is idle, and its connection is closed if the stream is."""
        with self._lock:
            if self._orders and not self._closed:
                return self._orders.popleft()
            self._idle.append(lane)
            if self._closed:
                maker.close()
            return None


def fill[T](span: Span, future: Future[T], maker: Maker[T]) -> None:
    """Make a slice, or note why it cannot be made."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        made = maker.make(*span)
    except BaseException as error:  # noqa: BLE001  raised where the slice is awaited
        future.set_exception(error)
    else:
        future.set_result(made)
