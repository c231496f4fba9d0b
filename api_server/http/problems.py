"""Problem documents (RFC 9457): what is refused and why. They never contain internals, which are logged."""

import json
import logging
from collections.abc import Iterable, Mapping
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from api_server.http.responses import NO_STORE
from api_server.http.tokens import without_tokens

CONTENT_TYPE = "application/problem+json"
RETRY_SECONDS = 30  # after which to ask again for what the operator must repair first
BRIEF_PATH = 200  # characters of a path in a problem
# The kinds of problem that every server has. Their `type` links to the explanation on the page at `/`.
REFUSALS = {
    "invalid-parameter": "A query parameter is unknown, repeated or not valid; `parameter` names it and `allowed` says "
    "what it may be.",
    "not-acceptable": "No format of the stream fits the Accept header; `allowed` lists the content types.",
    "not-found": "There is nothing at this path.",
    "method-not-allowed": "The path takes other methods, which the Allow header lists.",
    "unauthorized": "The endpoint requires a bearer token in the Authorization header.",
    "forbidden": "The token is valid, but lacks the scope that the WWW-Authenticate header names.",
    "tokens-unavailable": "Tokens cannot be looked up now. The server's log has the reason.",
    "too-many-streams": "The server is sending as many streams as it can, which continue. Try again after "
    "`Retry-After` seconds.",
    "unknown-host": "The Host header is not a name of this server: a page may have been pointed here to read what its "
    "visitor may. Its operator adds further names to FLOWS_ALLOWED_HOSTS.",
    "request-too-large": "The request's target, or its line and headers together, are longer than the server reads.",
    "request-timeout": "The request's head was not complete in time.",
    "body-too-large": "The body is larger than the path allows, before or after decompression.",
    "body-timeout": "The request's body was not complete in time.",
    "too-many-bodies": "The server is holding as many bodies of requests as it can. Try again after `Retry-After` "
    "seconds.",
    "not-http": "The request is not HTTP/1.1.",
}
FAILURES = {
    "internal-error": "The server failed. Its log has the reason.",
}

logger = logging.getLogger(__name__)


class Problem(Exception):
    """An error as an answer."""

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


def kinds(features: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The kinds of problem of a server with those of its features, and their explanations."""
    found = dict(REFUSALS)
    for further in features:
        found |= further
    return found | FAILURES


def invalid_parameter(name: str, detail: str, allowed: str) -> Problem:
    """A 400 that names the parameter and what it may be."""
    members = {"parameter": name, "allowed": allowed}
    return Problem(HTTPStatus.BAD_REQUEST, "invalid-parameter", detail, members=members)


def retry_after(seconds: int) -> dict[str, str]:
    """The header that says when to try again."""
    return {"Retry-After": str(seconds)}


def unavailable(kind: str, what: str, seconds: int = RETRY_SECONDS) -> Problem:
    """A 503 whose reason is in the log; `what` says what is not possible, without a full stop."""
    detail = f"{what}; the server's log has the reason."
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, kind, detail, headers=retry_after(seconds))


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
    headers = NO_STORE | problem.headers
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
    members = {"error": "Not found!"}  # what the guide's server, whose paths reports may have, answers alone
    detail = "There is nothing at this path; `/` lists what is here."
    return respond(request, Problem(status, "not-found", detail, members=members))


def on_unexpected(request: Request, _: Exception) -> Response:
    """Handler of everything else; the server logs the error with its traceback."""
    detail = "The server failed; its log has the reason."
    return respond(request, Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", detail))


def on_client_gone(_: Request, __: Exception) -> Response:
    """Handler of clients that disconnected: nobody reads the answer."""
    return Response(status_code=HTTPStatus.SERVICE_UNAVAILABLE)


HANDLERS = {
    ClientDisconnect: on_client_gone,
    Problem: on_problem,
    HTTPException: on_http_exception,
    Exception: on_unexpected,
}
