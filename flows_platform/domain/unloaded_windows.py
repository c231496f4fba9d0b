"""The windows that a sensor requested and that were not in the table at its last looks. Pure.

A look checks some of them, and the next look goes on where it ended: ten days of a source's outage are 960 windows of
a quarter of an hour, and a check takes a query.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import islice

from flows_platform.domain.lag import numbers, packed, unpacked
from flows_platform.domain.windows import Window, WindowGrid

CHECKED_A_LOOK = 240


@dataclass(frozen=True, slots=True)
class Unloaded:
    """Bit n of `windows` is window number n of the grid; the look begins at window number `start`."""

    grid: WindowGrid
    windows: int = 0
    start: int = 0

    @classmethod
    def between(cls, grid: WindowGrid, first: str, last: str, text: str = "", going_on: str = "") -> "Unloaded":
        """What a cursor says: the windows of `text`; without a text, all from the key `first` to `last`.

        `going_on` is the key of the window where this look begins; without it, at the first one.
        """
        oldest, newest = grid.number_of_key(first), grid.number_of_key(last)
        if oldest is None or newest is None:
            return cls(grid)
        windows = unpacked(text) if text else (1 << max(0, newest - oldest + 1)) - 1
        return cls(grid, windows << oldest, grid.number_of_key(going_on) or 0)

    def text(self, last: str) -> str:
        """The windows, for a cursor that has the keys `first` and `last`; empty if they are all between the two."""
        oldest, newest = self._oldest, self.grid.number_of_key(last)
        if oldest is None or newest is None:
            return ""
        relative = self.windows >> oldest
        return "" if relative == (1 << newest - oldest + 1) - 1 else packed(relative)

    @property
    def first(self) -> str:
        """The key of the oldest window; empty without one."""
        return "" if self._oldest is None else self.grid.nth(self._oldest).key

    @property
    def going_on(self) -> str:
        """The key of the window where the look begins; empty where it begins with the first one."""
        return self.grid.nth(self.start).key if self.start else ""

    @property
    def count(self) -> int:
        return self.windows.bit_count()

    @property
    def share(self) -> list[Window]:
        """The windows that this look checks, oldest first."""
        return [self.grid.nth(number) for number in self._share]

    @property
    def _share(self) -> list[int]:
        left = self.windows >> self.start << self.start
        # guard: each look checks its share
        return list(islice(numbers(left or self.windows), CHECKED_A_LOOK))

    @property
    def _oldest(self) -> int | None:
        return next(numbers(self.windows), None)

    def after(self, loaded: Collection[str], requested: Iterable[Window]) -> "Unloaded":
        """What the next look checks: without windows in the table (`loaded`), with those that this look requested."""
        share = self._share
        done = sum(1 << number for number in share if self.grid.nth(number).key in loaded)
        # guard: windows that failed are remembered
        left = self.windows & ~done | sum(1 << self.grid.number(window) for window in requested)
        is_whole = not share or not self.windows >> share[-1] + 1
        return Unloaded(self.grid, left, 0 if is_whole else share[-1] + 1)
