"""Work that is shared by all callers who ask for it at the same time, and cancelled when the last of them leaves."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class _Flight[T]:
    task: asyncio.Task[T]
    waiting: int = 0


class SingleFlight[T]:
    """The work under way, by key. Belongs to one event loop."""

    def __init__(self) -> None:
        self._under_way: dict[str, _Flight[T]] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    def __contains__(self, key: str) -> bool:
        return key in self._under_way

    async def share(self, key: str, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of the work that is under way for this key; if there is none, of the work that `start` begins."""
        flight = self._under_way.get(key)
        if flight is None:
            flight = _Flight(asyncio.create_task(start()))
            # guard: equal requests are one query
            self._under_way[key] = flight
            flight.task.add_done_callback(lambda task: self._forget(key, task))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            # guard: a query ends with its last client
            if not flight.waiting and not flight.task.done():
                self._forget(key, flight.task)
                flight.task.cancel()

    def _forget(self, key: str, task: asyncio.Task[T]) -> None:
        """Remove the task, unless another one has its key by now."""
        if key in self._under_way and self._under_way[key].task is task:
            del self._under_way[key]
