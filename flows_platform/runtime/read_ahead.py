"""Makes items ahead of their use, in other threads. For work that releases the GIL: inflating, parsing by Arrow."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import repeat

DEPTH = 3  # items ahead


def made_ahead[T, R](make: Callable[[T], R], items: Iterable[T], *, threads: int, depth: int = DEPTH) -> Generator[R]:
    """The results of `make` for the items, in order, up to `depth` of them ahead; an error comes where its item would.

    The consumer's thread iterates the items themselves.
    """
    with ThreadPoolExecutor(threads) as workers:
        ahead: deque[Future[R]] = deque()
        try:
            for item in items:
                ahead.append(workers.submit(make, item))
                if len(ahead) > depth:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()


def read_ahead[T](items: Iterator[T], depth: int = DEPTH) -> Generator[T]:
    """The items in order, up to `depth` of them made ahead of their use; an error comes where its item would.

    Items are never None.
    """
    with closing(made_ahead(lambda _: next(items, None), repeat(None), threads=1, depth=depth)) as made:
        for item in made:
            if item is None:
                return
            yield item
