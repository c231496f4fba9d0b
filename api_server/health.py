"""The health check that supervisors poll: whether the data of all features can be read."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api_server.http.feature import Endpoint, Feature
from api_server.http.parameters import refuse_parameters
from api_server.http.responses import NO_STORE


def health_endpoint(features: Sequence[Feature]) -> Endpoint:
    """The endpoint: `{"status": "ok"}` if all features are healthy, else the problem of the first that is not."""

    async def healthz(request: Request) -> Response:
        refuse_parameters(request.scope["query_string"])
        for feature in features:
            await feature.healthy()
        return JSONResponse({"status": "ok"}, headers=NO_STORE)

    return healthz
