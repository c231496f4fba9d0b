"""Problem documents (RFC 9457): what is refused and why. Internals never appear in one; they are logged."""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api_server.http.tokens import without_tokens
from flows_platform.domain.errors import InputError
from flows_platform.flow_database.page_checksums import DamagedDatabase

CONTENT_TYPE = "application/problem+json"
BRIEF_PATH = 200  # characters of a path that a problem shows
# The kinds of problem, with the text that the page at `/` has for each; `type` points there.
KINDS = {
    "invalid-parameter": "A query parameter is unknown, repeated, or not in its grammar; `parameter` names it and "
    "`allowed` says what it may be.",
    "not-acceptable": "No format of the stream fits the Accept header; `allowed` lists the content types.",
    "not-found": "There is nothing at this path.",
    "method-not-allowed": "The path takes other methods, which the Allow header lists.",
    "unauthorized": "The endpoint asks for a bearer token, in the Authorization header alone.",
    "forbidden": "The token is known, but lacks the scope that the WWW-Authenticate header names.",
    "tokens-unavailable": "Tokens cannot be looked up now. Whoever runs the server finds the reason in its log.",
    "too-many-streams": "As many streams run as the server admits; those go on to their end. Come again after "
    "`Retry-After` seconds.",
    "unknown-host": "The Host header is not a name of this server: a page may have been pointed here to read what its "
    "visitor may. Whoever runs the server adds further names to FLOWS_ALLOWED_HOSTS.",
    "request-too-large": "The request's target, or its line and headers together, are longer than the server reads.",
    "request-timeout": "The request's head did not come to its end in time.",
    "not-http": "What was sent is no HTTP/1.1.",
    "database-unavailable": "The database cannot be read now. Whoever runs the server finds the reason in its log.",
    "database-damaged": "The database holds other bytes than were loaded. Whoever runs the server finds the place in "
    "its log, and loads it again.",
    "cves-unavailable": "There is no database of CVEs here, or it cannot be read now. Whoever runs the server fills it "
    "with the source nvd_cves, under the same FLOWS_SQL_URL as the server's; its log has the reason.",
    "internal-error": "The server failed. Whoever runs it finds the reason in its log.",
}

logger = logging.getLogger(__name__)


class Problem(Exception):
    """An answer other than the one asked for."""

    def __init__(
        self,
        status: HTTPStatus,
        kind: str,
        detail: str,
        *,
        members: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail = status, kind, detail
        self.members = dict(members or {})
        self.headers = dict(headers or {})


def invalid_parameter(name: str, detail: str, allowed: str) -> Problem:
    """A 400 that names the parameter and what it may be."""
    members = {"parameter": name, "allowed": allowed}
    return Problem(HTTPStatus.BAD_REQUEST, "invalid-parameter", detail, members=members)


def encoded(problem: Problem, **members: str) -> bytes:
    """The problem document."""
    document = {
        "type": f"/#{problem.kind}",
        "title": problem.status.phrase,
        "status": problem.status.value,
        "detail": problem.detail,
        **members,
        **problem.members,
    }
    return json.dumps(document).encode()


def respond(request: Request, problem: Problem) -> Response:
    """The problem as a response."""
    instance = without_tokens(request.scope.get("raw_path", b"").decode("latin-1") or request.url.path)
    headers = {"Cache-Control": "no-store", **problem.headers}
    return Response(encoded(problem, instance=instance[:BRIEF_PATH]), problem.status, headers, CONTENT_TYPE)


def on_problem(request: Request, error: Exception) -> Response:
    """Handler of `Problem`."""
    assert isinstance(error, Problem)  # noqa: S101  it is registered for this class alone
    return respond(request, error)


def on_http_exception(request: Request, error: Exception) -> Response:
    """Handler of Starlette's own refusals: no such path, no such method."""
    assert isinstance(error, HTTPException)  # noqa: S101  it is registered for this class alone
    status = HTTPStatus(error.status_code)
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.method} is not allowed here."
        return respond(request, Problem(status, "method-not-allowed", detail, headers=error.headers))
    return respond(request, Problem(status, "not-found", "There is nothing at this path; `/` says what is here."))


def on_input_error(request: Request, error: Exception) -> Response:
    """Handler of a database that cannot be read: a person must act, a client may come again."""
    logger.error("%s %s: %s", request.method, request.url.path, error)
    detail = "The database cannot be read; the server's log has the reason."
    status = HTTPStatus.SERVICE_UNAVAILABLE
    return respond(request, Problem(status, "database-unavailable", detail, headers={"Retry-After": "30"}))


def on_damaged(request: Request, error: Exception) -> Response:
    """Handler of a database that holds other bytes than were loaded: coming again does not help."""
    logger.error("%s %s: %s", request.method, request.url.path, error)
    detail = "The database is damaged; the server's log has the place."
    return respond(request, Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "database-damaged", detail))


def on_unexpected(request: Request, _: Exception) -> Response:
    """Handler of everything else; the server logs the error with its traceback."""
    detail = "The server failed; its log has the reason."
    return respond(request, Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", detail))


HANDLERS = {
    Problem: on_problem,
    HTTPException: on_http_exception,
    InputError: on_input_error,
    DamagedDatabase: on_damaged,
    Exception: on_unexpected,
}
