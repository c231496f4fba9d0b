"""A limit of what threads hold at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition


class Budget:
    """An amount, of which threads take shares; one that would exceed it waits.

    Args:
        amount: The whole. A larger share is taken once all others are given back.
    """

    def __init__(self, amount: int) -> None:
        self._amount = amount
        self._taken = 0
        self._changed = Condition()

    @contextmanager
    def of(self, share: int) -> Iterator[None]:
        """Hold a share while the block runs."""
        with self._changed:
            # guard: a share waits for its turn
            self._changed.wait_for(lambda: not self._taken or self._taken + share <= self._amount)
            self._taken += share
        try:
            yield
        finally:
            with self._changed:
                self._taken -= share
                self._changed.notify_all()
