"""When work on a window must end, and what of that is left for a request or a wait."""

import math
import time
from dataclasses import dataclass, field

from flows_platform.domain.errors import WarehouseUnavailable


@dataclass(frozen=True, slots=True)
class Deadline:
    """`seconds` from its making on; its clock is monotonic."""

    seconds: float
    _began: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """Seconds; 0 once it is over."""
        return max(0.0, self._began + self.seconds - time.monotonic())

    def of(self, seconds: float, doing: str) -> float:
        """At most so many seconds, for one request or wait.

        Raises:
            WarehouseUnavailable: none are left.
        """
        left = self.left
        if not left:
            raise WarehouseUnavailable(
                f"{doing}: not done {self.seconds:g} s after it was begun.",
                remedy="Check that the warehouse answers; where windows are that large, raise FLOWS_PUBLISH_DEADLINE.",
            )
        # guard: no request outlasts the deadline of publishing
        return min(seconds, left)


NEVER = Deadline(math.inf)
