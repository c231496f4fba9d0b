"""Retries by stamina. They are logged here, since stamina's own log line would show the call's arguments."""

import logging

from stamina import Attempt, RetryingCaller, retry_context
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

__all__ = ["Attempt", "RetryingCaller", "retry_context"]

log = logging.getLogger(__name__)


def _log_retry(details: RetryDetails) -> None:
    log.warning("%s Trying again in %.1f s.", details.caused_by, details.wait_for)


set_on_retry_hooks([_log_retry])
