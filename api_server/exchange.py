"""`POST /oauth/token` (RFC 8693): exchanges a long-lived token for a short one, so that requests need not carry it.

Snowflake's clients use the same request with a token type of their own, and read the token as plain text.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from http import HTTPStatus
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from api_server.http.authority import Authority, NotValid, ScopeRefused
from api_server.http.authorization import lookups
from api_server.http.feature import Endpoint
from api_server.http.parameters import MOST_FIELDS, brief, refuse_parameters
from api_server.http.problems import Problem
from api_server.http.responses import NO_STORE
from api_server.http.shared import shared_of
from api_server.http.tokens import Scope
from flows_platform.access.exchange import ACCESS_TOKEN, FORM, GRANT, PROGRAMMATIC

FORM_BYTES = 4096
HEADERS = NO_STORE | {"Pragma": "no-cache"}


class _Refused(Exception):
    """A request that is refused as RFC 6749, section 5.2, describes."""

    def __init__(
        self,
        code: str,
        why: str,
        status: HTTPStatus = HTTPStatus.BAD_REQUEST,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(why)
        self.code, self.status, self.headers = code, status, headers or {}


def exchange_endpoint(served: AbstractSet[str]) -> Endpoint:
    """The endpoint, which answers with JSON, or with the token as text for Snowflake's token type.

    Args:
        served: The scopes of single reports that the server has, besides those of `Scope`.
    """
    known = served | set(Scope)

    async def exchange(request: Request) -> Response:
        refuse_parameters(request.scope["query_string"])
        try:
            return _answer(shared_of(request).tokens, await _form(request), known)
        except _Refused as error:
            members = {"error": error.code, "error_description": str(error)}
            return JSONResponse(members, error.status, {**HEADERS, **error.headers})

    return exchange


def _answer(tokens: Authority | None, form: Mapping[str, str], known: AbstractSet[str]) -> Response:
    if tokens is None:
        raise _Refused("invalid_request", "This server asks for no tokens: send requests without one.")
    _check_types(form)
    try:
        with lookups():
            # Snowflake's clients send the whole file of the token, with the end of its line.
            issued = tokens.exchange(form.get("subject_token", "").strip(), form.get("scope", "").strip())
    except NotValid as error:
        raise _Refused("invalid_request", f"subject_token: {error}") from error
    except ScopeRefused as error:
        raise _Refused("invalid_scope", f"The token lacks the scope {brief(str(error))}.") from error
    asked = form.get("scope", "").split()
    # guard: a token is exchanged for what there is
    if unknown := [scope for scope in issued.scopes if scope in asked and scope not in known]:
        raise _Refused("invalid_scope", f"There is nothing here with the scope {brief(unknown[0])}.")
    if form["subject_token_type"] == PROGRAMMATIC:
        return PlainTextResponse(issued.token, headers=HEADERS)
    members = {
        "access_token": issued.token,
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": issued.seconds,
        "scope": " ".join(issued.scopes),
    }
    return JSONResponse(members, headers=HEADERS)


def _check_types(form: Mapping[str, str]) -> None:
    if form.get("grant_type") != GRANT:
        raise _Refused("unsupported_grant_type", f"grant_type must be {GRANT}.")
    if form.get("subject_token_type") not in {ACCESS_TOKEN, PROGRAMMATIC}:
        raise _Refused("invalid_request", f"subject_token_type must be {ACCESS_TOKEN} or {PROGRAMMATIC}.")
    if form.get("requested_token_type", ACCESS_TOKEN) != ACCESS_TOKEN:
        raise _Refused("invalid_request", f"requested_token_type must be {ACCESS_TOKEN}, or left out.")


async def _form(request: Request) -> dict[str, str]:
    """The fields of the form, without empty ones, as RFC 6749 requires."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise _Refused("invalid_request", f"The body's type must be {FORM}.")
    try:
        async with shared_of(request).bodies.body(request, FORM_BYTES) as body:
            pairs = parse_qsl(body.decode("ascii"), max_num_fields=MOST_FIELDS)
    except Problem as problem:
        raise _Refused("invalid_request", problem.detail, problem.status, problem.headers) from problem
    except ValueError:
        raise _Refused("invalid_request", "The body is not a form in ASCII with few fields.") from None
    form = dict(pairs)
    # guard: fields of a form come once
    if len(form) < len(pairs):
        raise _Refused("invalid_request", "A field of the form is repeated.")
    return form
