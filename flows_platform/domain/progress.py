"""How a long operation reports its progress without knowing the listener."""

from collections.abc import Callable

# Called with (done, total), in the unit that the caller's docstring names; total is None if it is not known beforehand.
# Called at most a few times a second per operation; must be cheap and must not raise.
type Progress = Callable[[int, int | None], None]


def silent(done: int, total: int | None) -> None:
    """The listener that ignores all reports."""
