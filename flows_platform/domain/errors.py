"""The one tree of errors that a user may see.

    PlatformError
    ├── Transient                the same call may succeed later; the only branch that is retried
    │   ├── SourceUnavailable    no connection, 429, 5xx, a deadline
    │   ├── StreamIncomplete     the stream ended before its declared end, or its count does not add up
    │   ├── MalformedDocument    the answer is not well-formed in its own format; the next one may be
    │   └── WarehouseUnavailable a warehouse job failed for a reason that passes
    └── Terminal                 a person must change something first
        ├── ConfigurationError   a setting, a flag or a declaration
        ├── InputError           a file that cannot be what it should be
        ├── StorageError         a file cannot be written: disk full, no permission, an I/O error
        ├── SourceRefused        the API answered 4xx, or with something that is not the declared protocol
        │   └── NoRecords        the API says, as declared, that a range has no records: caught where it is asked
        ├── TooManyRejects       more records were quarantined than allowed
        ├── WarehouseError       the warehouse refused, or holds something else than was sent
        ├── ProcessFailed        a process that the platform starts ended, or never got ready
        └── UnexpectedFailure    any other exception, which fails one window and no more

A message names the value and the place; `remedy` says what to do. Neither ever holds a secret.
"""


class PlatformError(Exception):
    """An error for a person: what was found where, and the remedy."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".rstrip()


class Transient(PlatformError):
    """The same call may succeed later."""


class SourceUnavailable(Transient):
    """The source gave no answer, or one that asks to wait.

    `retry_after` is the wait the source asked for, in seconds, where it did.
    """

    def __init__(self, message: str, *, remedy: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.retry_after = retry_after


class StreamIncomplete(Transient):
    """The stream ended early, or its count does not match what was read."""


class MalformedDocument(Transient):
    """The answer is not well-formed JSON, XML or CSV. Programs that write by hand do this once and then not again."""


class WarehouseUnavailable(Transient):
    """A warehouse job failed for a reason that passes."""


class Terminal(PlatformError):
    """Trying again changes nothing."""


class ConfigurationError(Terminal):
    """A setting, a flag or a declaration is wrong."""


class InputError(Terminal):
    """A file is not what it should be."""


class StorageError(Terminal):
    """A file cannot be written; what stood there before still does."""


class SourceRefused(Terminal):
    """The API refused the request, or does not speak the declared protocol."""


class NoRecords(SourceRefused):
    """The API's error document says that there are no records, by a code that the declaration lists as that."""


class TooManyRejects(Terminal):
    """More records were quarantined than allowed."""


class WarehouseError(Terminal):
    """The warehouse refused, or holds something else than was sent."""


class ProcessFailed(Terminal):
    """A process that the platform starts ended, or never got ready."""


class UnexpectedFailure(Terminal):
    """An exception that is not a PlatformError, in one stage of a window. Its traceback is in the run's log."""

    def __init__(self, stage: str, kind: type[Exception], detail: str) -> None:
        super().__init__(
            f"the {stage} raised {kind.__name__}: {detail or 'without a message'}.",
            remedy="Report it with its traceback, which is in the run's log, and the API's answer.",
        )
        self.stage = stage
        self.kind = kind
