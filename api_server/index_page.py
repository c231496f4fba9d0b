"""The page at `/`, which is composed of the sections of the server's features."""

from collections.abc import Sequence
from dataclasses import fields

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api_server.http import paths
from api_server.http.feature import Description, Endpoint, Feature, PageSections, text_of, title_of
from api_server.http.negotiation import header_list, prefers
from api_server.http.pages import page
from api_server.http.parameters import refuse_parameters
from api_server.http.problems import kinds
from api_server.http.responses import NO_STORE
from api_server.http.shared import shared_of

OPEN = "Requests need no token: the data is open to all that reach this address."
# The answer of the guide's server, whose paths reports may have.
NOTHING = {"result": "Nothing to see here"}


def index_endpoint(features: Sequence[Feature], descriptions: Sequence[Description]) -> Endpoint:
    """The page."""

    async def index(request: Request) -> Response:
        refuse_parameters(request.scope["query_string"])
        if prefers(header_list(request.headers, "accept"), "application/json", "text/html"):
            return JSONResponse(NOTHING, headers=NO_STORE | {"Vary": "Accept"})
        base = str(request.base_url).rstrip("/")
        # Browsers send no token: if one is required, the page does not show figures of the data.
        secured = shared_of(request).tokens is not None
        sections = [await feature.page(base, shows_data=not secured) for feature in features]
        problems = kinds(description.problems for description in descriptions)
        names = [field.name for field in fields(PageSections)]
        # The features escape their texts.
        joined = {name: Markup("".join(getattr(one, name) for one in sections)) for name in names}  # noqa: S704
        return page(
            request,
            "index.html",
            headers={"Vary": "Accept"},
            title=title_of(descriptions),
            text=text_of(descriptions),
            openapi=paths.OPENAPI,
            health=paths.HEALTH,
            access=Markup(_closed(descriptions)) if secured else OPEN,  # noqa: S704  scopes and our own words
            problems=problems,
            sections=joined,
        )

    return index


def _closed(descriptions: Sequence[Description]) -> str:
    """Which scopes give access to what."""
    (what, scope), *others = (entry for description in descriptions for entry in description.protected)
    first = f"{what[0].upper()}{what[1:]} ask for a bearer token with the scope <code>{scope}</code>"
    scopes = ", ".join([first, *(f"{what} for <code>{scope}</code>" for what, scope in others)])
    return f"{scopes}, in the header <code>Authorization: Bearer TOKEN</code> and nowhere else."
