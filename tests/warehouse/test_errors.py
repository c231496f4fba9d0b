"""Every failure of BigQuery is classified: transient, or in need of a person."""

import pytest
import requests
from google.api_core import exceptions as api
from google.auth import exceptions as auth

from flows_platform.domain.errors import ConfigurationError, WarehouseError, WarehouseUnavailable
from flows_platform.warehouse.errors import REASONS, classified, job_failure, warehouse_errors

PASSING = {
    "backendError",
    "internalError",
    "jobBackendError",
    "jobInternalError",
    "badGateway",
    "tableUnavailable",
    "timeout",
    "conditionNotMet",
    "rateLimitExceeded",
    "jobRateLimitExceeded",
    "quotaExceeded",
}
FOR_GOOD = {
    "accessDenied",
    "invalidUser",
    "billingNotEnabled",
    "billingTierLimitExceeded",
    "blocked",
    "notFound",
    "duplicate",
    "invalid",
    "invalidQuery",
    "notImplemented",
    "resourceInUse",
    "resourcesExceeded",
    "responseTooLarge",
    "stopped",
    "proxyAuthenticationRequired",
    "dontRetry",
}


def test_the_table_has_these_reasons_and_no_other() -> None:
    assert set(REASONS) == PASSING | FOR_GOOD


@pytest.mark.parametrize("reason", sorted(REASONS))
@pytest.mark.parametrize("status", [400, 403, 503])
def test_the_reason_decides_whatever_the_status(reason: str, status: int) -> None:
    expected = WarehouseUnavailable if reason in PASSING else WarehouseError
    error = classified(api.from_http_status(status, "sorry", errors=[{"reason": reason}]), "loading x")
    assert type(error) is expected
    assert type(job_failure({"reason": reason, "message": "sorry"}, "loading x")) is expected
    assert str(error).startswith(f"loading x: sorry ({reason}).")
    assert error.remedy


@pytest.mark.parametrize(
    ("status", "expected"),
    [(status, WarehouseUnavailable) for status in (408, 429, 500, 502, 503, 504)]
    + [(status, WarehouseError) for status in (400, 401, 403, 404, 409, 412)],
)
def test_without_a_reason_the_status_decides(status: int, expected: type[Exception]) -> None:
    assert type(classified(api.from_http_status(status, "sorry"), "x")) is expected


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (requests.ConnectionError("reset by peer"), WarehouseUnavailable),
        (requests.Timeout("read"), WarehouseUnavailable),
        (requests.exceptions.ChunkedEncodingError("cut"), WarehouseUnavailable),
        (ConnectionResetError(104, "reset"), WarehouseUnavailable),
        (TimeoutError("result"), WarehouseUnavailable),
        (api.RetryError("given up", cause=None), WarehouseUnavailable),
        (auth.TransportError("no token server"), WarehouseUnavailable),
        (auth.DefaultCredentialsError("none"), ConfigurationError),
        (auth.RefreshError("revoked"), ConfigurationError),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_connections_and_credentials(raised: Exception, expected: type[Exception]) -> None:
    with pytest.raises(expected) as caught, warehouse_errors("asking"):
        raise raised
    assert type(caught.value) is expected
    assert caught.value.__cause__ is raised


@pytest.mark.parametrize(
    "message",
    [
        "Could not serialize access to table p:d.flows due to concurrent update",
        "Transaction is aborted due to concurrent update against table p:d.flows.",
        "TransactionContext Error: Failed to commit: Transaction conflict - attempting to delete",
        'Duplicate key "project_id: local, job_id: d__flows__0" violates primary key constraint.',
        "TransactionContext Error: Conflict on update!",
        "Failed to commit: Failed to commit DuckLake transaction.",
    ],
)
def test_a_lost_race_passes_though_its_reason_is_invalid_query(message: str) -> None:
    error = classified(api.BadRequest(message, errors=[{"reason": "invalidQuery"}]), "merging")
    assert type(error) is WarehouseUnavailable


def test_other_errors_are_left_alone() -> None:
    with pytest.raises(ZeroDivisionError), warehouse_errors("counting"):
        _ = 1 / 0
