"""The problems of webhooks, and their explanations."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from api_server.http.parameters import brief
from api_server.http.problems import Problem, respond
from flows_platform.domain.errors import StorageError
from flows_platform.webhooks.delivery import Unverified
from flows_platform.webhooks.reading import ArchiveIncomplete
from flows_platform.webhooks.records import BadDelivery, TooLarge, UnknownCoding

RETRY_SECONDS = 30
# Under this path, problems also have the members that clients of threatstack-to-s3 read.
ORIGINAL = "/api/v1/s3/"
ORIGINAL_TYPE = "S3ViewWebhookDataError"
EXPLANATIONS = {
    "unverified": "The delivery does not prove its sender; `wrong` says whether it is the signature, the timestamp or "
    "the key.",
    "unknown-sender": "Deliveries come from declared addresses alone, and this is another one.",
    "invalid-delivery": "The body cannot be kept: it is not JSON, or a record in it has no valid id or time. Only the "
    "delivery's evidence is in the archive.",
    "unknown-coding": "The body's Content-Encoding is not identity or gzip.",
    "too-many-deliveries": "As many deliveries are under way as the server admits. Send it again after `Retry-After` "
    "seconds.",
    "proof-unavailable": "What proves the delivery cannot be fetched now. Send it again after `Retry-After` seconds.",
    "archive-unavailable": "The archive cannot be written, or read, now. Send the request again after `Retry-After` "
    "seconds.",
    "archive-incomplete": "The archive does not have an object that it had: `detail` names it. Nothing of the range is "
    "answered, so that no reader takes it for all there is.",
    "no-detail-due": "The detail is in the archive, or the webhook has no details: there is nothing to fetch.",
    "too-many-readings": "As many ranges are being read as the server admits. Try again after `Retry-After` seconds.",
}

logger = logging.getLogger(__name__)


def unverified(error: Unverified) -> Problem:
    """The problem of a sender that is not proven."""
    members = {"wrong": error.what}
    challenge = {"WWW-Authenticate": "Webhook"}
    return Problem(HTTPStatus.UNAUTHORIZED, "unverified", str(error), members=members, headers=challenge)


def unknown_sender() -> Problem:
    """The problem of an address that may not send."""
    return Problem(HTTPStatus.FORBIDDEN, "unknown-sender", "Deliveries do not come from this address.")


def invalid(error: BadDelivery) -> Problem:
    """The problem of a delivery that cannot be kept."""
    if isinstance(error, TooLarge):
        return Problem(HTTPStatus.CONTENT_TOO_LARGE, "body-too-large", str(error))
    if isinstance(error, UnknownCoding):
        accepted = {"Accept-Encoding": "gzip, identity"}
        return Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unknown-coding", str(error), headers=accepted)
    return Problem(HTTPStatus.BAD_REQUEST, "invalid-delivery", str(error))


def unavailable(_: StorageError) -> Problem:
    """The problem of an archive that cannot be written; the log has the reason."""
    detail = "The archive cannot be written now; the server's log has the reason."
    retry = {"Retry-After": str(RETRY_SECONDS)}
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "archive-unavailable", detail, headers=retry)


def proof_unavailable() -> Problem:
    """The problem of a delivery whose proof cannot be fetched; the log has the reason."""
    detail = "What proves the delivery cannot be fetched now; the server's log has the reason."
    retry = {"Retry-After": str(RETRY_SECONDS)}
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "proof-unavailable", detail, headers=retry)


def unknown_record(record_id: str) -> Problem:
    """The problem of an id that no record has."""
    return Problem(HTTPStatus.NOT_FOUND, "not-found", f"There is no record {brief(record_id)}.")


def no_detail_due(record_id: str) -> Problem:
    """The problem of a detail that is not fetched again."""
    detail = f"The detail of {brief(record_id)} is there, or its webhook has no details."
    return Problem(HTTPStatus.CONFLICT, "no-detail-due", detail)


def on_problem(request: Request, error: Exception) -> Response:
    """Handler of `Problem`: below the original's paths a problem also has what the original's clients read."""
    assert isinstance(error, Problem)  # noqa: S101 - it is registered for this class alone
    original = ORIGINAL in request.url.path and "success" not in error.members
    return respond(request, at_path(error, request.url.path) if original else error)


@contextmanager
def storage() -> Iterator[None]:
    """Turn what keeps the archive from being read into a problem; the log has the reason."""
    try:
        yield
    except ArchiveIncomplete as error:
        logger.error("%s", error)  # noqa: TRY400 - the message says it all
        raise Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "archive-incomplete", str(error)) from error
    except StorageError as error:
        logger.error("records cannot be read: %s", error)  # noqa: TRY400 - the message says it all
        detail = "The archive cannot be read now; the server's log has the reason."
        retry = {"Retry-After": str(RETRY_SECONDS)}
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "archive-unavailable", detail, headers=retry) from error


def at_path(problem: Problem, path: str) -> Problem:
    """The problem as an answer of the webhook at this path; a key in the URL is not shown."""
    # guard: a key in the URL is not shown
    problem.members["instance"] = path
    if ORIGINAL in path:
        kind = ORIGINAL_TYPE if problem.kind == "invalid-delivery" else problem.kind
        problem.members |= {"success": False, "error": {"type": kind, "message": [problem.detail]}}
    return problem
