"""The one place where a source's call is tried again: transient errors only, with backoff and the server's own wait."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from flows_platform.domain.errors import SourceUnavailable, Transient
from flows_platform.retries import Attempt, retry_context

WAIT_INITIAL = 0.5  # seconds that the wait before the second try may last; doubles with each try
WAIT_MAX = 60.0

# A float at or above the first and at or below the second argument.
type Spread = Callable[[float, float], float]


@dataclass(slots=True)
class Backoff:
    """Full jitter: anything up to the doubled wait, so that many clients do not come back together."""

    spread: Spread = random.uniform
    failures: int = 0

    def __call__(self, error: Exception) -> bool | float:
        """The wait in seconds before the next try, at least what the server asked for; False for no other try."""
        if not isinstance(error, Transient):
            return False
        wait = self.spread(0.0, min(WAIT_MAX, WAIT_INITIAL * 2**self.failures))
        self.failures = min(self.failures + 1, 10)  # 2 ** 10 is beyond the longest wait
        asked = error.retry_after if isinstance(error, SourceUnavailable) else None
        return max(wait, asked or 0.0)


def attempts(limit: int, *, within: float | None = None, spread: Spread = random.uniform) -> Iterator[Attempt]:
    """Up to `limit` tries, none begun after `within` seconds, each to be entered as a context.

    The error of the last one is raised as it is.
    """
    return iter(retry_context(on=Backoff(spread), attempts=limit, timeout=within))
