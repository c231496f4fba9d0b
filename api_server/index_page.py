"""The page at `/`: what is here, put together from its features' sections."""

from collections.abc import Sequence
from functools import cache
from html import escape
from pathlib import Path
from string import Template

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from api_server.http import paths
from api_server.http.feature import Description, Endpoint, Feature
from api_server.http.negotiation import header_list, prefers
from api_server.http.parameters import refuse_parameters
from api_server.http.problems import kinds
from api_server.http.shared import shared_of

OPEN = "Requests need no token: the data is open to all that reach this address."
# The page brings its style with it and loads nothing.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
HEADERS = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
# What the guide's server, whose paths reports may have, answers here.
NOTHING = {"result": "Nothing to see here"}


def index_endpoint(features: Sequence[Feature], descriptions: Sequence[Description]) -> Endpoint:
    """The page."""

    async def index(request: Request) -> Response:
        refuse_parameters(request.scope["query_string"])
        if prefers(header_list(request.headers, "accept"), "application/json", "text/html"):
            return JSONResponse(NOTHING, headers={"Cache-Control": "no-store", "Vary": "Accept"})
        base = str(request.base_url).rstrip("/")
        # A browser sends no token: where one is asked for, the page shows everything but the data's own figures.
        secured = shared_of(request).tokens is not None
        sections = [await feature.page(base, shows_data=not secured) for feature in features]
        problems = kinds(description.problems for description in descriptions)
        page = _template().substitute(
            title=escape(descriptions[0].title),
            text=escape(descriptions[0].text),
            figures="".join(section.figures for section in sections),
            openapi=paths.OPENAPI,
            health=paths.HEALTH,
            links="".join(section.links for section in sections),
            start="".join(section.start for section in sections),
            access=_closed(descriptions) if secured else OPEN,
            usage="".join(section.usage for section in sections),
            reference="".join(section.reference for section in sections),
            problems="".join(f'<dt id="{kind}">{kind}</dt><dd>{escape(text)}</dd>' for kind, text in problems.items()),
        )
        return HTMLResponse(page, headers={**HEADERS, "Vary": "Accept"})

    return index


def _closed(descriptions: Sequence[Description]) -> str:
    """Which scope opens what."""
    (what, scope), *others = (entry for description in descriptions for entry in description.protected)
    first = f"{what[0].upper()}{what[1:]} ask for a bearer token with the scope <code>{scope}</code>"
    scopes = ", ".join([first, *(f"{what} for <code>{scope}</code>" for what, scope in others)])
    return f"{scopes}, in the header <code>Authorization: Bearer TOKEN</code> and nowhere else."


@cache
def _template() -> Template:
    return Template(Path(__file__).with_name("index.html").read_text("utf-8"))
