"""When a window may lose rows: only if two pulls, an hour apart, agree. Pure; never reads the clock."""

from dataclasses import dataclass
from datetime import timedelta

FEWEST = 100  # rows in the table from which the share applies; losing all rows needs a confirmation from one row on
AN_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ShrinkRule:
    """What counts as shrinking, and which second pull confirms it.

    A window may lose `share` of its rows (0 to 1) without a confirmation. `pause` is the shortest time between the
    first pull that shows the loss and the one that confirms it. In a `moving` table, a record that changes leaves its
    window. A window of a `snapshot` is compared with the list before it, and confirmed by the next window's.
    """

    share: float = 0.5
    moving: bool = False
    pause: timedelta = AN_HOUR
    snapshot: bool = False

    def shrinks(self, held: int, rows: int) -> bool:
        """Whether a window of `held` rows that now has `rows` would be empty, or would lose more than the share."""
        if not rows:
            return held > 0
        return held >= FEWEST and self._loses_too_much(held, rows)

    def says_the_same(self, first: int, again: int) -> bool:
        """Whether a pull of `again` rows confirms one of `first`: it has the same number.

        In a moving table, records go on leaving: fewer rows within the share confirm it too. An empty pull is only
        confirmed by another empty pull. A list goes on changing: about as many rows confirm it, within the share.
        """
        if self.snapshot and again:
            return not (self._loses_too_much(first, again) or self._loses_too_much(again, first))
        if self.moving and again:
            return again <= first and not self._loses_too_much(first, again)
        return again == first

    def _loses_too_much(self, held: int, rows: int) -> bool:
        return held - rows > self.share * held


USUAL = ShrinkRule()
