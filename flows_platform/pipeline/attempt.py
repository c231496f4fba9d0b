"""The boundary around a window: an error inside it fails that window alone."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from flows_platform.domain.errors import PlatformError, UnexpectedFailure
from flows_platform.domain.redaction import Redactor
from flows_platform.domain.windows import Window

ALIKE = 3  # unexpected failures in a row that end a run: a bug hits every window, bad data seldom does


class Stage(StrEnum):
    """The steps of a window, each attempted by itself."""

    FETCH = "fetch"
    REPROCESS = "reprocessing"
    PUBLISH = "publication"


@dataclass(frozen=True, slots=True)
class Done[T]:
    """The stage ended well, with this result."""

    result: T


@dataclass(frozen=True, slots=True)
class Failed:
    """The stage failed: the window fails with this error, and the other windows go on."""

    window: Window
    error: PlatformError


def attempt[T](
    window: Window, stage: Stage, work: Callable[[], T], *, log: Callable[[str], object], redact: Redactor
) -> Done[T] | Failed:
    """Do the work of one stage of the window; an exception fails the window and is not raised.

    A `PlatformError` is the failure itself. Any other exception becomes an `UnexpectedFailure`, and `log` gets its
    traceback, without secrets. A `BaseException` passes: it ends the run.
    """
    # guard: a platform error is the failure itself
    # guard: an unexpected exception fails its window alone
    try:
        return Done(work())
    except PlatformError as error:
        return Failed(window, error)
    except Exception as error:  # noqa: BLE001 - the one boundary: a bug of one window must not stop the others
        log(redact("".join(traceback.format_exception(error))))
        return Failed(window, UnexpectedFailure(stage, type(error), redact(str(error))))


@dataclass(slots=True)
class Streak:
    """The unexpected failures in a row that are alike: the same exception in the same stage."""

    length: int = 0
    _last: tuple[str, type[Exception]] | None = None

    def note(self, outcome: Done[object] | Failed) -> None:
        """Note the outcome of the next window."""
        error = outcome.error if isinstance(outcome, Failed) else None
        found = (error.stage, error.kind) if isinstance(error, UnexpectedFailure) else None
        self.length = 0 if found is None else self.length + 1 if found == self._last else 1
        self._last = found

    @property
    def ends_the_run(self) -> bool:
        # guard: alike failures in a row end the run
        return self.length >= ALIKE
