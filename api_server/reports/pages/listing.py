"""The page that lists the reports which its reader may read."""

import json

from starlette.requests import Request
from starlette.responses import Response

from api_server.http.pages import page
from api_server.http.parameters import refuse_parameters
from api_server.http.subrequest import ask_or_raise
from api_server.reports import paths as api


async def listing(request: Request) -> Response:
    """The page."""
    refuse_parameters(request.scope["query_string"])
    found = await ask_or_raise(request, api.LIST)
    listed = json.loads(found.body)
    return page(request, "listing.html", title="Reports", reports=listed["reports"], faults=listed["faults"])
