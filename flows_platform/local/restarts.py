"""How often a child may crash, and how long it is left alone before it is started again. No processes here."""

from collections import defaultdict, deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class Restarts:
    """Counts crashes. Waits double from `first` to `longest` seconds; more than `most` in `within` seconds end it.

    After `within` seconds without a crash, a child's wait is `first` again.
    """

    first: float = 1.0
    longest: float = 30.0
    most: int = 5
    within: float = 300.0
    _crashes: defaultdict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))

    def delay(self, name: str, now: float) -> float | None:
        """Seconds to wait after child `name` crashed at `now`, on any clock; None if it crashed too often."""
        crashes = self._crashes[name]
        while crashes and crashes[0] <= now - self.within:
            crashes.popleft()
        crashes.append(now)
        if len(crashes) > self.most:
            return None
        return float(min(self.longest, self.first * 2 ** (len(crashes) - 1)))
