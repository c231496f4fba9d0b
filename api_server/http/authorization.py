"""Which requests are allowed (RFC 6750): a token in the Authorization header, a scope for every endpoint."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from api_server.http.authority import Authority, NotValid
from api_server.http.feature import Endpoint
from api_server.http.problems import Problem, unavailable
from api_server.http.shared import shared_of
from api_server.http.tokens import Grant, Scope
from flows_platform.domain.errors import PlatformError

CHARACTERS = "[A-Za-z0-9._~+/-]+=*"
# The second form is that of Snowflake's clients.
CREDENTIALS = re.compile(
    rf'bearer +(?P<bearer>{CHARACTERS})|snowflake +token="(?P<quoted>{CHARACTERS})"', re.IGNORECASE
)
REALM = 'Bearer realm="flows"'
# What requests may do if the server requires no tokens.
ALL = Grant("", tuple(Scope))
NOTHING = Grant("", ())

logger = logging.getLogger(__name__)


def requires(scope: Scope, endpoint: Endpoint) -> Endpoint:
    """An endpoint for requests with a token that has `scope`; for all requests if the server requires no tokens."""

    async def guarded(request: Request) -> Response:
        request.state.grant = authorize(request, scope)
        return await endpoint(request)

    return guarded


def grant_of(request: Request) -> Grant:
    """What the token of a request behind `requires` allows."""
    grant: Grant = request.state.grant
    return grant


def authorize(request: Request, scope: Scope) -> Grant:
    """Check the token of a request, and give what it allows.

    Raises:
        Problem: 401 without a valid token, 403 if the token lacks the scope, 503 if tokens cannot be looked up.
    """
    tokens = shared_of(request).tokens
    if tokens is None:
        return ALL
    grant = _granted(tokens, request.headers.getlist("authorization"))
    # guard: scopes of tokens
    if not grant.allows(scope):
        raise insufficient(scope)
    return grant


def presented(request: Request) -> Grant:
    """What the token of a request to an open path allows; nothing if there is no valid token."""
    tokens = shared_of(request).tokens
    if tokens is None:
        return ALL
    try:
        return _granted(tokens, request.headers.getlist("authorization"))
    except Problem:
        return NOTHING


def insufficient(scope: str) -> Problem:
    """The 403 of a token without `scope`, which must be the text of a scope."""
    challenge = f'{REALM}, error="insufficient_scope", scope="{scope}"'
    detail = f"The token lacks the scope {scope}."
    return Problem(HTTPStatus.FORBIDDEN, "forbidden", detail, headers={"WWW-Authenticate": challenge})


@contextmanager
def lookups() -> Iterator[None]:
    """Turn errors of the files of tokens and keys into a 503, and log them.

    Raises:
        Problem: there was one.
    """
    try:
        yield
    except PlatformError as error:
        logger.error("tokens cannot be looked up: %s", error)
        raise unavailable("tokens-unavailable", "Tokens cannot be looked up now") from error


def _granted(tokens: Authority, headers: list[str]) -> Grant:
    if not headers:
        raise _unauthorized("The Authorization header is missing: `Bearer` and a token.", REALM)
    invalid = f'{REALM}, error="invalid_token"'
    # guard: one Authorization header
    match = CREDENTIALS.fullmatch(headers[0]) if len(headers) == 1 else None
    if match is None:
        raise _unauthorized("The Authorization header is not `Bearer` and a token.", invalid)
    try:
        with lookups():
            return tokens.grant(match["bearer"] or match["quoted"])
    except NotValid as error:
        raise _unauthorized(str(error), invalid) from error


def _unauthorized(detail: str, challenge: str) -> Problem:
    return Problem(HTTPStatus.UNAUTHORIZED, "unauthorized", detail, headers={"WWW-Authenticate": challenge})
