"""Which requests are allowed (RFC 6750): a bearer token in the Authorization header, a scope for every endpoint."""

import logging
import re
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from api_server.http.feature import Endpoint
from api_server.http.problems import Problem
from api_server.http.shared import shared_of
from api_server.http.tokens import Scope, TokenFile
from flows_platform.domain.errors import ConfigurationError

BEARER = re.compile("bearer +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)
REALM = 'Bearer realm="flows"'

logger = logging.getLogger(__name__)


def requires(scope: Scope, endpoint: Endpoint) -> Endpoint:
    """The endpoint behind a check: the request needs a token with `scope`, if the server asks for tokens at all."""

    async def guarded(request: Request) -> Response:
        authorize(request, scope)
        return await endpoint(request)

    return guarded


def authorize(request: Request, scope: Scope) -> None:
    """Check the token of a request.

    Raises:
        Problem: 401 without a valid token, 403 where the token lacks the scope, 503 where tokens cannot be looked up.
    """
    tokens = shared_of(request).tokens
    if tokens is None:
        return
    granted = _granted(tokens, request.headers.getlist("authorization"))
    # guard: scopes of tokens
    if scope not in granted:
        challenge = f'{REALM}, error="insufficient_scope", scope="{scope}"'
        detail = f"The token lacks the scope {scope}."
        raise Problem(HTTPStatus.FORBIDDEN, "forbidden", detail, headers={"WWW-Authenticate": challenge})


def _granted(tokens: TokenFile, headers: list[str]) -> tuple[str, ...]:
    if not headers:
        raise _unauthorized("The Authorization header is missing: `Bearer` and a token.", REALM)
    # guard: one Authorization header
    match = BEARER.fullmatch(headers[0]) if len(headers) == 1 else None
    try:
        granted = None if match is None else tokens.scopes_of(match[1])
    except ConfigurationError as error:
        logger.error("tokens cannot be looked up: %s", error)  # noqa: TRY400  the message says it all
        detail = "Tokens cannot be looked up now; the server's log has the reason."
        status = HTTPStatus.SERVICE_UNAVAILABLE
        raise Problem(status, "tokens-unavailable", detail, headers={"Retry-After": "30"}) from error
    if granted is None:
        raise _unauthorized("The token is not known here.", f'{REALM}, error="invalid_token"')
    return granted


def _unauthorized(detail: str, challenge: str) -> Problem:
    return Problem(HTTPStatus.UNAUTHORIZED, "unauthorized", detail, headers={"WWW-Authenticate": challenge})
