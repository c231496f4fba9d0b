"""The kinds of problem of webhooks with their explanations, and how errors become problems."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from api_server.hooks import paths
from api_server.http.parameters import brief
from api_server.http.problems import Problem, respond, unavailable
from flows_platform.domain.errors import StorageError
from flows_platform.webhooks.archived_records import ArchiveIncomplete
from flows_platform.webhooks.delivery import Unverified
from flows_platform.webhooks.parsing import BadDelivery, TooLarge, UnknownCoding

# The type of errors in deliveries that clients of threatstack-to-s3 know.
THREATSTACK_TYPE = "S3ViewWebhookDataError"
EXPLANATIONS = {
    "unverified": "The delivery does not prove who sent it; `wrong` is `signature`, `timestamp` or `key`.",
    "unknown-sender": "Only declared addresses may send deliveries, and this is another one.",
    "invalid-delivery": "The body is not acceptable: it is not JSON, or a record in it has no valid id or time. The "
    "archive has the delivery as evidence, without its records.",
    "unknown-coding": "The body's Content-Encoding is neither identity nor gzip.",
    "too-many-deliveries": "The server is processing as many deliveries as it can. Send it again after `Retry-After` "
    "seconds.",
    "proof-unavailable": "What is needed to verify the delivery cannot be fetched now. Send it again after "
    "`Retry-After` seconds.",
    "archive-unavailable": "The archive cannot be written or read now. Send the request again after `Retry-After` "
    "seconds.",
    "archive-incomplete": "The archive lacks an object that it had, which `detail` names. The range is not answered, "
    "so that no reader takes an incomplete answer for a complete one.",
    "no-detail-due": "There is no detail to fetch: it is in the archive, or the webhook has no details.",
    "too-many-readings": "The server is reading as many ranges as it can. Try again after `Retry-After` seconds.",
}

logger = logging.getLogger(__name__)


def unverified(error: Unverified) -> Problem:
    """The problem of a delivery that does not prove who sent it."""
    members = {"wrong": error.what}
    challenge = {"WWW-Authenticate": "Webhook"}
    return Problem(HTTPStatus.UNAUTHORIZED, "unverified", str(error), members=members, headers=challenge)


def unknown_sender() -> Problem:
    """The problem of an address that may not send deliveries."""
    return Problem(HTTPStatus.FORBIDDEN, "unknown-sender", "This address may not send deliveries.")


def invalid(error: BadDelivery) -> Problem:
    """The problem of a delivery that is not acceptable."""
    if isinstance(error, TooLarge):
        return Problem(HTTPStatus.CONTENT_TOO_LARGE, "body-too-large", str(error))
    if isinstance(error, UnknownCoding):
        accepted = {"Accept-Encoding": "gzip, identity"}
        return Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unknown-coding", str(error), headers=accepted)
    return Problem(HTTPStatus.BAD_REQUEST, "invalid-delivery", str(error))


def archive_unavailable(what: str) -> Problem:
    """The problem of an archive that cannot be `read` or `written` now."""
    return unavailable("archive-unavailable", f"The archive cannot be {what} now")


def proof_unavailable() -> Problem:
    """The problem of a delivery that cannot be verified now."""
    return unavailable("proof-unavailable", "What is needed to verify the delivery cannot be fetched now")


def unknown_record(record_id: str) -> Problem:
    """The problem of an id that no record has."""
    return Problem(HTTPStatus.NOT_FOUND, "not-found", f"There is no record {brief(record_id)}.")


def no_detail_due(record_id: str) -> Problem:
    """The problem of a detail that is not fetched again."""
    detail = f"The detail of {brief(record_id)} is in the archive, or its webhook has no details."
    return Problem(HTTPStatus.CONFLICT, "no-detail-due", detail)


def on_problem(request: Request, error: Exception) -> Response:
    """Handler of `Problem`: below the paths of threatstack-to-s3, it has the members that its clients read."""
    assert isinstance(error, Problem)  # noqa: S101 - it is registered for this class alone
    added = paths.is_threatstack(request.url.path) and "success" not in error.members
    return respond(request, at_path(error, request.url.path) if added else error)


@contextmanager
def reading_archive() -> Iterator[None]:
    """Turn errors of reading archive or journal into a problem; the log has the reason.

    Raises:
        Problem: there was one.
    """
    try:
        yield
    except ArchiveIncomplete as error:
        logger.error("%s", error)
        raise Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "archive-incomplete", str(error)) from error
    except StorageError as error:
        logger.error("records cannot be read: %s", error)
        raise archive_unavailable("read") from error


def at_path(problem: Problem, path: str) -> Problem:
    """The problem as the answer of the webhook at this path, which is without a key in the URL."""
    # guard: a key in the URL is not shown
    problem.members["instance"] = path
    if paths.is_threatstack(path):
        kind = THREATSTACK_TYPE if problem.kind == "invalid-delivery" else problem.kind
        problem.members |= {"success": False, "error": {"type": kind, "message": [problem.detail]}}
    return problem
