"""The threads in which sqlite runs, and whether work is waiting for one. Independent of rows and requests."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock


class Workers:
    """A pool whose long jobs can see that others wait, and queue again."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="sqlite")
        self._lock = Lock()
        self._waiting = 0

    @property
    def crowded(self) -> bool:
        """Whether work waits for a thread."""
        return self._waiting > 0

    def submit[T](self, work: Callable[[], T]) -> Future[T]:
        """Do the work in a thread when it is its turn. A job that is cancelled before never starts."""
        self._count(1)
        job = self._pool.submit(self._begun, work)
        job.add_done_callback(self._given_up)
        return job

    async def run[T](self, work: Callable[[], T]) -> T:
        """The result of work in a thread."""
        return await asyncio.wrap_future(self.submit(work))

    def close(self) -> None:
        """Wait for the threads; work that has not started is cancelled."""
        self._pool.shutdown(cancel_futures=True)

    def _begun[T](self, work: Callable[[], T]) -> T:
        self._count(-1)
        return work()

    def _given_up[T](self, job: Future[T]) -> None:
        if job.cancelled():
            self._count(-1)

    def _count(self, change: int) -> None:
        with self._lock:
            self._waiting += change
