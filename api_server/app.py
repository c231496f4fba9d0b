"""The application: which path is served by what. `create_app` is all that others need."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from api_server.config import ServerConfig
from api_server.cves.routes import list_cves, one_cve, totals_endpoint
from api_server.flows.database import Snapshot
from api_server.flows.openapi import describe
from api_server.flows.routes import stream_endpoint
from api_server.flows.status import healthz, latest
from api_server.http import paths
from api_server.http.authorization import requires
from api_server.http.middleware import KnownHosts, SecureHeaders, TargetLimit
from api_server.http.problems import HANDLERS
from api_server.http.tokens import Scope
from api_server.index_page import index
from api_server.state import ServerState
from flows_platform.access.hosts import HostList
from flows_platform.sources.lanl_flows.schema import FLOWS


def create_app(config: ServerConfig) -> Starlette:
    """The ASGI application that serves `config.database`.

    Raises:
        InputError: there is no such file, it is no database, or it lacks the table or a column of it.
    """
    Snapshot.open(config.database, FLOWS, compared=config.compare_pages).close()
    state = ServerState(config, FLOWS)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await state.admission.drained()
        state.close()

    streams = [
        Route(path, requires(Scope.FLOWS_READ, stream_endpoint(formats))) for path, formats in paths.STREAMS.items()
    ]
    totals = [
        Route(path, requires(Scope.CVES_READ, totals_endpoint(aspect))) for path, aspect in paths.CVE_TOTALS.items()
    ]
    # guard: scope of CVEs
    routes = [
        *streams,
        Route(paths.CVES, requires(Scope.CVES_READ, list_cves)),
        *totals,  # before the path of one CVE, which fits theirs too
        Route(paths.CVE, requires(Scope.CVES_READ, one_cve)),
        Route(paths.LATEST, requires(Scope.STATUS_READ, latest)),
        Route(paths.HEALTH, healthz),
        Route(paths.OPENAPI, describe),
        Route(paths.INDEX, index),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers=HANDLERS,
        lifespan=lifespan,
        middleware=[
            Middleware(SecureHeaders),
            Middleware(KnownHosts, hosts=HostList.of(*config.hosts)),
            Middleware(TargetLimit),
        ],
    )
    app.router.redirect_slashes = False
    app.state.server = state
    return app
