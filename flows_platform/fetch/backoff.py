"""Tries a source's call again: after transient errors only, with backoff, and no sooner than the server asks."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from flows_platform.domain.errors import SourceUnavailable, Transient

if TYPE_CHECKING:
    from flows_platform.runtime.retries import Attempt

WAIT_INITIAL = 0.5  # seconds that the wait before the second try may last; doubles with each try
WAIT_MAX = 60.0

# Gives a float between its two arguments, both included.
type Spread = Callable[[float, float], float]


@dataclass(slots=True)
class Backoff:
    """Full jitter: anything up to the doubled wait, so that many clients do not come back together."""

    spread: Spread = random.uniform
    failures: int = 0

    def __call__(self, error: Exception) -> bool | float:
        """The wait in seconds before the next try, at least what the server asked for; False to stop."""
        if not isinstance(error, Transient):
            # guard: a retry is for transient errors
            return False
        wait = self.spread(0.0, min(WAIT_MAX, WAIT_INITIAL * 2**self.failures))
        self.failures = min(self.failures + 1, 10)  # 2 ** 10 is beyond the longest wait
        asked = error.retry_after if isinstance(error, SourceUnavailable) else None
        # guard: the server's own wait
        return max(wait, asked or 0.0)


@dataclass(slots=True)
class FirstTry:
    """The first try, a context manager like stamina's attempts. Its error decides whether another one follows."""

    num: int = 1
    error: Exception | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.error = error if isinstance(error, Exception) else None
        return self.error is not None


def attempts(
    limit: int, *, within: float | None = None, spread: Spread = random.uniform
) -> "Iterator[FirstTry | Attempt]":
    """Up to `limit` tries, each a context manager. No try starts after `within` seconds.

    The last try's error is raised unchanged. Stamina takes .05 CPU-seconds to import, so only a failed try imports it.
    """
    begun, first = time.monotonic(), FirstTry()
    yield first
    if first.error is None:
        return
    left = None if within is None else within - (time.monotonic() - begun)
    if left is not None and left <= 0:
        raise first.error
    from flows_platform.runtime.retries import retry_context  # noqa: PLC0415 - see above

    for attempt in retry_context(on=Backoff(spread), attempts=limit, timeout=left):
        if attempt.num > 1:
            yield attempt
        else:
            with attempt:
                raise first.error
