"""How long work tells how far it is, without knowing who listens."""

from collections.abc import Callable

# Called with (done, total) in the unit the caller's docstring names; total is None where it is not known beforehand.
# Called at most a few times a second per unit of work; must be cheap and must not raise.
type Progress = Callable[[int, int | None], None]


def silent(done: int, total: int | None) -> None:
    """The listener that is not there."""
