"""The page with all reports that its reader may see."""

import json

from starlette.requests import Request
from starlette.responses import Response

from api_server.http.inside import ask_well
from api_server.http.pages import page
from api_server.http.parameters import refuse_parameters
from api_server.reports import paths as api


async def listing(request: Request) -> Response:
    """The page."""
    refuse_parameters(request.scope["query_string"])
    found = await ask_well(request, api.LIST)
    listed = json.loads(found.body)
    return page(request, "listing.html", title="Reports", reports=listed["reports"], faults=listed["faults"])
