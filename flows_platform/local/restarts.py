"""How often a child may crash, and how long it is left alone before it is started again. No processes here."""

from collections import defaultdict, deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class Restarts:
    """The account of crashes: waits double from `first` to `longest` seconds; beyond `most` in `within` it is over.

    A child that ran for `within` seconds without a crash starts from `first` again.
    """

    first: float = 1.0
    longest: float = 30.0
    most: int = 5
    within: float = 300.0
    _crashes: defaultdict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))

    def delay(self, name: str, now: float) -> float | None:
        """Seconds to wait after the crash of child `name` at `now`, on any clock; None where it crashed too often."""
        crashes = self._crashes[name]
        while crashes and crashes[0] <= now - self.within:
            crashes.popleft()
        crashes.append(now)
        if len(crashes) > self.most:
            return None
        return float(min(self.longest, self.first * 2 ** (len(crashes) - 1)))
