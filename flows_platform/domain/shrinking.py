"""When a window may lose rows: only when two pulls, an hour apart, say the same. Pure; never asks for the clock."""

from dataclasses import dataclass
from datetime import timedelta

FEWEST = 100  # rows in the table from which on a share of them may not be lost; an empty window counts from one row on
AN_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ShrinkRule:
    """What counts as shrinking, and which second pull confirms it.

    `share` of the rows (0 to 1) may be lost without a confirmation. `pause` is the least time from the pull that first
    said so to the one that confirms it. Records leave a window of a `moving` table when they change.
    """

    share: float = 0.5
    moving: bool = False
    pause: timedelta = AN_HOUR

    def shrinks(self, held: int, rows: int) -> bool:
        """Whether a window that held `held` rows would become empty with `rows`, or lose more than the share."""
        if not rows:
            return held > 0
        return held >= FEWEST and self._loses_too_much(held, rows)

    def says_the_same(self, first: int, again: int) -> bool:
        """Whether a pull of `again` rows confirms one of `first`: the same number.

        Of a moving table also fewer, but within the share: records go on leaving. None is confirmed by none alone.
        """
        if self.moving and again:
            return again <= first and not self._loses_too_much(first, again)
        return again == first

    def _loses_too_much(self, held: int, rows: int) -> bool:
        return held - rows > self.share * held


USUAL = ShrinkRule()
