"""The parts of one stream, made ahead of its reader by several connections. Knows neither formats nor HTTP.

Every connection is a lane. Lanes take the next order from one queue, so that none waits for the event loop between two
parts, and one whose connection cannot be had is just not there.
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
    """A connection and what it makes of positions `first..last`. `make` runs in one thread at a time."""

    def make(self, first: int, last: int) -> T:
        """A part of the stream."""

    def interrupt(self) -> None:
        """Make `make` stop, from another thread."""

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
        self._resting = list(self._lanes)
        self._orders: deque[tuple[Span, Future[T]]] = deque()
        self._closed = False

    def order(self, span: Span) -> Future[T]:
        """Have a part made, after those that were ordered before have begun."""
        part: Future[T] = Future()
        with self._lock:
            self._orders.append((span, part))
            self._wake()
        return part

    def close(self) -> None:
        """Stop what runs and free the connections, here or in the threads that use them. Waits for no query."""
        with self._lock:
            self._closed = True
            for lane in self._lanes:
                if lane.maker is None:
                    continue  # a thread that is about to open it closes it
                if lane in self._resting or (lane.job and lane.job.cancel()):
                    lane.maker.close()
                else:
                    lane.maker.interrupt()

    def _wake(self) -> None:
        """Set a resting lane to work if there is any for it; the lock is held."""
        if self._orders and self._resting and not self._closed:
            self._start(self._resting.pop())

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
        """A further connection. Where there is none, the lane is gone, and another does what it was woken for."""
        try:
            lane.maker = lane.open()
        finally:
            if lane.maker is None:
                with self._lock:
                    self._wake()
        return lane.maker

    def _next(self, lane: Lane[T], maker: Maker[T]) -> tuple[Span, Future[T]] | None:
        """What to do next; without anything the lane rests, and its connection is closed if the stream is."""
        with self._lock:
            if self._orders and not self._closed:
                return self._orders.popleft()
            self._resting.append(lane)
            if self._closed:
                maker.close()
            return None


def fill[T](span: Span, part: Future[T], maker: Maker[T]) -> None:
    """Make a part, or note why it cannot be made."""
    if not part.set_running_or_notify_cancel():
        return
    try:
        made = maker.make(*span)
    except BaseException as error:  # noqa: BLE001  whoever waits for the part raises it
        part.set_exception(error)
    else:
        part.set_result(made)
