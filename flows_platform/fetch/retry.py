"""The one place where a source's call is tried again: transient errors only, with backoff and the server's own wait."""

import logging
from collections.abc import Iterator

import stamina

from flows_platform.domain.errors import SourceUnavailable, Transient

log = logging.getLogger(__name__)

WAIT_INITIAL = 0.5  # seconds before the second try; doubles, plus up to a second of jitter
WAIT_MAX = 60.0


def attempts(limit: int) -> Iterator[stamina.Attempt]:
    """Up to `limit` tries, each to be entered as a context; the error of the last one is raised as it is."""
    return iter(
        stamina.retry_context(
            on=_wait, attempts=limit, timeout=None, wait_initial=WAIT_INITIAL, wait_max=WAIT_MAX, wait_jitter=1.0
        )
    )


def _wait(error: Exception) -> bool | float:
    """Whether to try again; a number is the wait in seconds that the server asked for."""
    if not isinstance(error, Transient):
        return False
    log.warning("%s Trying again.", error)
    if isinstance(error, SourceUnavailable) and error.retry_after is not None:
        return error.retry_after
    return True
