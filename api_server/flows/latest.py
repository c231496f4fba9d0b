"""What sensors poll: the newest time held."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api_server.flows.state import FlowsState
from api_server.http.feature import Endpoint
from api_server.http.parameters import refuse_parameters
from api_server.http.responses import NO_STORE


def latest_endpoint(state: FlowsState) -> Endpoint:
    """`{"time": T, "rows": N}`: the newest time and the number of rows; null and 0 where there is none."""

    async def latest(request: Request) -> Response:
        refuse_parameters(request.scope["query_string"])
        time, rows = await state.run(state.newest)
        return JSONResponse({"time": time, "rows": rows}, headers=NO_STORE)

    return latest
