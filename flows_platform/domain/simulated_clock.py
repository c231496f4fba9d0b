"""The clock that shows a data set as if it happened now, and the rows that come late. It never asks for the time."""

from dataclasses import dataclass
from datetime import datetime, timedelta

SECOND = timedelta(seconds=1)
PERMILLE = 1000
# Prime to PERMILLE: late rows are strewn over the ids, where `id % PERMILLE` alone would make them neighbours.
STEP = 619


@dataclass(frozen=True, slots=True)
class SimulatedClock:
    """A clock that shows the data set's second 0 at `start` and runs `speed` times as fast as the wall's."""

    start: datetime
    speed: float

    def elapsed(self, wall: datetime) -> timedelta:
        """How far the data set has come; negative before the start."""
        return (wall - self.start) * self.speed

    def wall_time(self, span: timedelta) -> timedelta:
        """How long a span of the data set takes on the wall's clock."""
        return span / self.speed

    def data_time(self, span: timedelta) -> timedelta:
        """How much of the data set passes in a span of the wall's clock."""
        return span * self.speed

    def at_speed(self, speed: float, wall: datetime) -> "SimulatedClock":
        """The clock that shows the same at `wall`, and runs at another speed from there."""
        return SimulatedClock(wall - self.elapsed(wall) / speed, speed)


@dataclass(frozen=True, slots=True)
class LateRows:
    """Of each thousand ids, from 0 on, `permille` are of rows that show `delay` after their time; always the same."""

    permille: int = 0
    delay: timedelta = timedelta(0)

    def __contains__(self, key: int) -> bool:
        return key % PERMILLE * STEP % PERMILLE < self.permille


@dataclass(frozen=True, slots=True)
class Simulation:
    """What a server of the data set needs to hold back what has not happened yet."""

    clock: SimulatedClock
    late: LateRows = LateRows()
