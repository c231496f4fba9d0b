"""All errors that a user may see, as one tree.

    PlatformError
    ├── Transient                the same call may succeed later; the only branch that is retried
    │   ├── SourceUnavailable    no connection, 429, 5xx, or a deadline passed
    │   ├── StreamIncomplete     the stream ended before its declared end, or its count does not add up
    │   ├── MalformedDocument    the answer is not well-formed in its own format; the next one may be
    │   └── WarehouseUnavailable a warehouse job failed for a temporary reason
    └── Terminal                 a person must change something first
        ├── ConfigurationError   a setting, a flag or a table's YAML is wrong
        ├── InputError           a file does not hold what it should
        ├── StorageError         a file cannot be written: disk full, no permission, an I/O error
        ├── SourceRefused        the API answered 4xx, or does not speak the declared protocol
        │   └── NoRecords        the API's declared way to say that a range has no records; the caller handles it
        ├── TooManyRejects       more records were quarantined than allowed
        ├── WarehouseError       the warehouse refused, or does not hold what was sent
        ├── ProcessFailed        a process that the platform started ended, or never became ready
        └── UnexpectedFailure    any other exception; it fails only its window

A message gives the value and its location; `remedy` says what to do. Neither ever holds a secret.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class PlatformError(Exception):
    """An error for a person: what was found, where, and the remedy."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".rstrip()

    def reword(self, message: str, remedy: str | None = None) -> None:
        """Give the error another message, and another remedy unless that is None."""
        self.message = message
        self.args = (message,)
        if remedy is not None:
            self.remedy = remedy


@contextmanager
def named_in_errors(what: str) -> Iterator[None]:
    """Name what was under way in a PlatformError raised inside; nothing is named by an empty text."""
    try:
        yield
    except PlatformError as error:
        if what:
            error.reword(f"{what}: {error.message}")
        raise


class Transient(PlatformError):
    """The same call may succeed later."""


class SourceUnavailable(Transient):
    """The source did not answer, or asked to wait.

    `retry_after` is the wait that the source asked for, in seconds; None if it named none.
    """

    def __init__(self, message: str, *, remedy: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.retry_after = retry_after


class StreamIncomplete(Transient):
    """The stream ended early, or its count does not match what was read."""


class MalformedDocument(Transient):
    """The answer is not well-formed JSON, XML or CSV. A source that writes these by hand may do so once, not twice."""


class WarehouseUnavailable(Transient):
    """A warehouse job failed for a temporary reason."""


class Terminal(PlatformError):
    """Trying again changes nothing."""


class ConfigurationError(Terminal):
    """A setting, a flag or a table's YAML is wrong."""


class InputError(Terminal):
    """A file does not hold what it should."""


class StorageError(Terminal):
    """A file cannot be written; its old content is unchanged."""


class SourceRefused(Terminal):
    """The API refused the request, or does not speak the declared protocol."""


class NoRecords(SourceRefused):
    """The API's error document says that there are no records, by a code that the table's YAML lists for this."""


class TooManyRejects(Terminal):
    """More records were quarantined than allowed."""


class WarehouseError(Terminal):
    """The warehouse refused, or does not hold what was sent."""


class ProcessFailed(Terminal):
    """A process that the platform started ended, or never became ready."""


class UnexpectedFailure(Terminal):
    """An exception that is not a PlatformError, in one stage of a window. Its traceback is in the run's log."""

    def __init__(self, stage: str, kind: type[Exception], detail: str) -> None:
        super().__init__(
            f"the {stage} raised {kind.__name__}: {detail or 'without a message'}.",
            remedy="Report it with its traceback, which is in the run's log, and the API's answer.",
        )
        self.stage = stage
        self.kind = kind
