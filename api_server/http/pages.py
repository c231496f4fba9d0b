"""Pages for people: templates that escape all texts, one style sheet, and a policy that lets nothing else load."""

from functools import cache
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from api_server.http.feature import Endpoint
from api_server.http.parameters import refuse_parameters
from api_server.http.problems import Problem
from api_server.http.responses import NO_STORE
from api_server.http.shared import shared_of

FOLDER = Path(__file__).parents[1] / "templates"
SHEET = (FOLDER / "style.css").read_bytes()
# The path changes with the style sheet, so that browsers may keep it for a year.
STYLE = f"/static/style-{sha256(SHEET).hexdigest()[:12]}.css"
POLICY = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
HEADERS = {
    "Content-Security-Policy": POLICY,
    **NO_STORE,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
CHALLENGE = 'Basic realm="flows: any name, and a token as the password", charset="UTF-8"'
OWN_SITE = {"same-origin", "none"}


def page(
    request: Request,
    template: str,
    *,
    status: int = HTTPStatus.OK,
    headers: dict[str, str] | None = None,
    **values: Any,
) -> Response:
    """A page, made of a template with these values."""
    text = (
        _environment()
        .get_template(template)
        .render(**values, style=STYLE, menu=shared_of(request).menu, here=request.url.path)
    )
    return HTMLResponse(text, status, {**HEADERS, **(headers or {})})


@cache
def _environment() -> Environment:
    # guard: texts of pages are escaped
    return Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def for_people(endpoint: Endpoint) -> Endpoint:
    """An endpoint whose refusals are pages too, and which pages of other sites cannot load into theirs."""

    async def shown(request: Request) -> Response:
        try:
            _refuse_foreign(request)
            return await endpoint(request)
        except Problem as problem:
            return _refusal(request, problem)

    return shown


def _refuse_foreign(request: Request) -> None:
    """Refuse requests for images, scripts and frames of other sites: a signed-in browser sends its password with them.

    Raises:
        Problem: it is such a request.
    """
    site = request.headers.get("sec-fetch-site", "none")
    followed = (
        request.headers.get("sec-fetch-mode") == "navigate" and request.headers.get("sec-fetch-dest") == "document"
    )
    # guard: other sites load no page
    if site not in OWN_SITE and not followed:
        raise Problem(HTTPStatus.FORBIDDEN, "forbidden", "Another site's page may link here, but not load this page.")


def _refusal(request: Request, problem: Problem) -> Response:
    headers = dict(problem.headers)
    signs_in = problem.status is HTTPStatus.UNAUTHORIZED
    if signs_in:
        headers["WWW-Authenticate"] = CHALLENGE
    return page(
        request,
        "refusal.html",
        status=problem.status,
        headers=headers,
        title=problem.status.phrase,
        detail=problem.detail,
        signs_in=signs_in,
    )


async def style(request: Request) -> Response:
    """The style sheet."""
    refuse_parameters(request.scope["query_string"])
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Cross-Origin-Resource-Policy": "same-origin"}
    return Response(SHEET, headers=headers, media_type="text/css")
