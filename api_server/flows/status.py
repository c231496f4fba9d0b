"""What sensors and supervisors poll: the newest time held, and whether the database opens."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api_server.flows.parameters import refuse_parameters
from api_server.flows.selection import EVERYTHING, newest
from api_server.state import state_of

NO_STORE = {"Cache-Control": "no-store"}


async def latest(request: Request) -> Response:
    """`{"time": T, "rows": N}`: the newest time and the number of rows; null and 0 where there is none."""
    refuse_parameters(request.scope["query_string"])
    state = state_of(request)

    def read() -> dict[str, int | None]:
        snapshot = state.snapshot()
        try:
            time, count = newest(snapshot, state.schema, state.visible(EVERYTHING))
        finally:
            snapshot.close()
        return {"time": time, "rows": count}

    return JSONResponse(await state.run(read), headers=NO_STORE)


async def healthz(request: Request) -> Response:
    """`{"status": "ok"}` where the database opens and holds the table."""
    refuse_parameters(request.scope["query_string"])
    state = state_of(request)
    await state.run(lambda: state.snapshot().close())
    return JSONResponse({"status": "ok"}, headers=NO_STORE)
