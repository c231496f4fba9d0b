"""Work that is done together with what waits at the same time, as one commit or one sync serves all of it."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial

type Work[A, B] = Callable[[Sequence[A]], Sequence[B | Exception]]


class Groups[A, B]:
    """Things that wait become a group as soon as a lane is free. Belongs to the event loop's thread.

    Args:
        work: Does the work of a group, in a thread; gives for each thing its result, or its error.
        threads: Where it is done.
        lanes: Groups at once.
        size: How large a thing is.
        largest: How large a group may be; a larger thing is a group by itself.
    """

    def __init__(self, work: Work[A, B], threads: Executor, lanes: int, size: Callable[[A], int], largest: int) -> None:
        self._work, self._threads, self._size, self._largest = work, threads, size, largest
        self._free = lanes
        self._waiting: deque[tuple[A, asyncio.Future[B]]] = deque()

    async def result(self, thing: A) -> B:
        """The result of a thing. It is worked on to its end, also where nobody waits for it any more."""
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
