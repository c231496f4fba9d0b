"""A clock that shows a data set as if it happened now, and the rows that come late. Pure; never reads the clock."""

from dataclasses import dataclass
from datetime import datetime, timedelta

SECOND = timedelta(seconds=1)
PERMILLE = 1000
# Coprime to PERMILLE: it scatters late rows over the ids, where `id % PERMILLE` alone would put them side by side.
STEP = 619


@dataclass(frozen=True, slots=True)
class SimulatedClock:
    """A clock that shows the data set's second 0 at `start` and runs `speed` times as fast as the wall clock."""

    start: datetime
    speed: float

    def elapsed(self, wall: datetime) -> timedelta:
        """The time of the data set since its second 0; negative before the start."""
        return (wall - self.start) * self.speed

    def wall_time(self, span: timedelta) -> timedelta:
        """The time on the wall clock that a span of the data set takes."""
        return span / self.speed

    def data_time(self, span: timedelta) -> timedelta:
        """The time of the data set that passes in a span of the wall clock."""
        return span * self.speed

    def at_speed(self, speed: float, wall: datetime) -> "SimulatedClock":
        """The clock that shows the same time at `wall` and runs at another speed from then on."""
        return SimulatedClock(wall - self.elapsed(wall) / speed, speed)


@dataclass(frozen=True, slots=True)
class LateRows:
    """Rows that appear `delay` after their time: `permille` of every thousand ids from 0 on, always the same ids."""

    permille: int = 0
    delay: timedelta = timedelta(0)

    def __contains__(self, key: int) -> bool:
        return key % PERMILLE * STEP % PERMILLE < self.permille


@dataclass(frozen=True, slots=True)
class Simulation:
    """What a server needs in order to hold back the rows of a data set that have not happened yet."""

    clock: SimulatedClock
    late: LateRows = LateRows()
