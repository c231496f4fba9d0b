"""Running an iterator a few items ahead in a second thread. For stages that leave the GIL: inflating, parsing."""

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor


def read_ahead[T](items: Iterator[T], depth: int = 3) -> Generator[T]:
    """The items in order, up to `depth` of them made ahead of their use; an error comes where its item would.

    Items are never None.
    """
    with ThreadPoolExecutor(1) as worker:
        ahead: deque[Future[T | None]] = deque(worker.submit(next, items, None) for _ in range(depth))
        try:
            while (item := ahead.popleft().result()) is not None:
                ahead.append(worker.submit(next, items, None))
                yield item
        finally:
            for future in ahead:
                future.cancel()
