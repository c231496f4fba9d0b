"""Groups things that wait at the same time, for work that one commit or one sync can do for all of them."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial

type Work[A, B] = Callable[[Sequence[A]], Sequence[B | Exception]]


class Groups[A, B]:
    """Groups waiting things as soon as a lane is free. Belongs to the event loop's thread.

    Args:
        work: Processes a group in a thread; gives the result or the error of each thing.
        threads: The threads that do the work.
        lanes: Number of groups that are processed at a time.
        size: The size of a thing.
        largest: The largest size of a group; a larger thing is a group of its own.
    """

    def __init__(self, work: Work[A, B], threads: Executor, lanes: int, size: Callable[[A], int], largest: int) -> None:
        self._work, self._threads, self._size, self._largest = work, threads, size, largest
        self._free = lanes
        self._waiting: deque[tuple[A, asyncio.Future[B]]] = deque()

    async def result(self, thing: A) -> B:
        """The result of a thing, which is processed completely even if its caller stops waiting."""
        future: asyncio.Future[B] = asyncio.get_running_loop().create_future()
        self._waiting.append((thing, future))
        self._start()
        return await future

    def _start(self) -> None:
        while self._free and self._waiting:
            self._free -= 1
            group = self._next()
            job = asyncio.get_running_loop().run_in_executor(self._threads, self._work, [thing for thing, _ in group])
            job.add_done_callback(partial(self._end, [future for _, future in group]))

    def _next(self) -> list[tuple[A, asyncio.Future[B]]]:
        group = [self._waiting.popleft()]
        size = self._size(group[0][0])
        while self._waiting and (size := size + self._size(self._waiting[0][0])) <= self._largest:
            group.append(self._waiting.popleft())
        return group

    def _end(self, futures: Sequence[asyncio.Future[B]], job: asyncio.Future[Sequence[B | Exception]]) -> None:
        self._free += 1
        failure = job.exception()
        results = [failure] * len(futures) if failure else job.result()
        for future, result in zip(futures, results, strict=True):
            if future.done():  # its sender left
                continue
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)
        self._start()
