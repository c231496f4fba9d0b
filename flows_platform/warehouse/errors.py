"""Classifies failures of BigQuery: transient, or in need of a person. One table, no I/O.

Reasons are those of https://cloud.google.com/bigquery/docs/error-messages. For an answer without a reason, a phrase of
its message, its HTTP status or the type of the connection error decides.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import requests
from google.api_core import exceptions as api
from google.auth import exceptions as auth

from flows_platform.domain.errors import ConfigurationError, PlatformError, WarehouseError, WarehouseUnavailable


class Verdict(NamedTuple):
    """The error that a failure becomes, and its remedy."""

    kind: type[PlatformError]
    remedy: str


def _passes(remedy: str = "It passes: run the window again.") -> Verdict:
    return Verdict(WarehouseUnavailable, remedy)


def _refused(remedy: str) -> Verdict:
    return Verdict(WarehouseError, remedy)


_QUOTA = _passes("A quota is used up: wait, run fewer windows at once, or ask for a higher quota.")
_BILLING = _refused("Enable billing for the project, or raise its limit.")
_REPORT = _refused("The statement or the declaration is wrong: compare the table's columns with the schema.")

REASONS: Mapping[str, Verdict] = {
    "backendError": _passes(),
    "internalError": _passes(),
    "jobBackendError": _passes(),
    "jobInternalError": _passes(),
    "badGateway": _passes(),
    "tableUnavailable": _passes(),
    "timeout": _passes(),
    "conditionNotMet": _passes("Something else changed the table in the meantime: run the window again."),
    "rateLimitExceeded": _QUOTA,
    "jobRateLimitExceeded": _QUOTA,
    "quotaExceeded": _QUOTA,
    "accessDenied": _refused(
        "Give the account the roles BigQuery Job User (project) and BigQuery Data Editor (dataset)."
    ),
    "invalidUser": _refused("Use an account that may run jobs in this project."),
    "billingNotEnabled": _BILLING,
    "billingTierLimitExceeded": _BILLING,
    "blocked": _refused("BigQuery has blocked the operation for now: ask its support."),
    "notFound": _refused("Check the settings for project, dataset and location; the account must see them."),
    "duplicate": _refused("Something of that name exists already: remove it, or choose another name."),
    "invalid": _REPORT,
    "invalidQuery": _REPORT,
    "notImplemented": _REPORT,
    "resourceInUse": _refused("End what uses the resource first."),
    "resourcesExceeded": _refused("Make the windows smaller."),
    "responseTooLarge": _refused("Make the windows smaller."),
    "stopped": _refused("Someone cancelled the job: run the window again if that was not meant."),
    "proxyAuthenticationRequired": _refused("Set the proxy's credentials."),
    "dontRetry": _refused("The emulator failed: its log says where."),
}

# BigQuery and the emulator report a lost race between two statements as `invalidQuery`, which is otherwise permanent.
# The last four messages are the emulator's: two for one job id sent twice in the same millisecond, one for two
# statements that create the same table, as the first runs of a backfill do.
RACES = (
    "Could not serialize access",
    "Transaction is aborted due to concurrent update",
    "Transaction conflict",
    "Duplicate key",
    "Conflict on update",
    "Failed to commit DuckLake transaction",
)

# What messages of `invalidQuery` say of values, BigQuery's and the emulator's. The values themselves come after it, or
# before it. Both also give this reason for a statement that is wrong.
OF_VALUES = re.compile(
    r"(?:\b(?:integer|int64|numeric|bignumeric|float64|double|floating point|date|datetime|timestamp|interval) )?"
    r"\boverflow\b|\bunderflow\b|\bdivision by zero\b|\bout of (?:range|bounds)\b|\boutside of supported range\b"
    r"|\b(?:bad|invalid) (?:bool|bytes|date|datetime|double|float64|int64|interval|numeric|time|timestamp)\b"
    r"|\bcould not (?:cast|convert|parse)\b|\bfailed to parse\b|\bcannot take (?:logarithm|square root)\b"
    r"|\bmore than one element\b|\bfloating point error\b|\bcannot be negative\b",
    re.IGNORECASE,
)

PASSING_STATUSES = {408, 429, *range(500, 600)}

_DEAD_CONNECTIONS = (requests.RequestException, ConnectionError, TimeoutError, auth.TransportError, api.RetryError)
_FAILURES = (api.GoogleAPIError, auth.GoogleAuthError, *_DEAD_CONNECTIONS)


def verdict(reason: str, message: str = "", status: int = 0) -> Verdict:
    """What a failure with this reason, message and HTTP status means."""
    # guard: lost races pass
    if any(race in message for race in RACES):
        return _passes("Another statement changed the table at the same time: run the window again.")
    if reason in REASONS:
        return REASONS[reason]
    # guard: statuses that pass
    if status in PASSING_STATUSES:
        return _passes()
    return _refused("The reason is not one that is known to pass.")


def reason_of(error: api.GoogleAPICallError) -> str:
    """The reason that BigQuery gives; empty where there is none."""
    return next((str(detail.get("reason", "")) for detail in error.errors if isinstance(detail, dict)), "")


def said_of_values(error: api.GoogleAPICallError) -> str:
    """What a failure says of values, such as `division by zero`, and no value; a general word where that is unknown."""
    found = OF_VALUES.search(str(error.message))
    return found[0].lower() if found else "a value does not fit"


def classified(error: Exception, doing: str) -> PlatformError:
    """The platform's error for one of the client library's; `doing` says what failed, for the message."""
    if isinstance(error, _DEAD_CONNECTIONS):
        return WarehouseUnavailable(f"{doing}: no answer from the warehouse ({error}).", remedy="Check that it runs.")
    if isinstance(error, auth.GoogleAuthError):
        return ConfigurationError(
            f"{doing}: the credentials cannot be used ({error}).",
            remedy="Set up Google Cloud credentials; for the emulator, FLOWS_EMULATOR_KEY_FILE names its key.",
        )
    if not isinstance(error, api.GoogleAPICallError):
        return WarehouseError(f"{doing}: {error}.")
    reason, message = reason_of(error), str(error.message)
    kind, remedy = verdict(reason, message, int(error.code or 0))
    return kind(f"{doing}: {message} ({reason or error.code}).", remedy=remedy)


def job_failure(result: Mapping[str, object], doing: str) -> PlatformError:
    """The platform's error for a job's `errorResult`."""
    reason, message = str(result.get("reason", "")), str(result.get("message", ""))
    kind, remedy = verdict(reason, message)
    return kind(f"{doing}: {message} ({reason}).", remedy=remedy)


@contextmanager
def warehouse_errors(doing: str) -> Iterator[None]:
    """Turn every failure of the client library into one of the platform's errors."""
    # guard: failures are classified by type
    try:
        yield
    except _FAILURES as error:
        raise classified(error, doing) from error
