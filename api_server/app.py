"""The application: middleware, tokens and limits around the paths of its features, whatever these are."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from api_server.config import ServerConfig
from api_server.docs_page import docs
from api_server.exchange import exchange_endpoint
from api_server.health import health_endpoint
from api_server.http import paths
from api_server.http.authorization import requires
from api_server.http.feature import Description, Feature, MenuEntry
from api_server.http.middleware import KnownHosts, SecureHeaders, TargetLimit
from api_server.http.pages import STYLE, for_people, style
from api_server.http.problems import HANDLERS
from api_server.http.shared import Shared
from api_server.http.slices import SlicedBodies
from api_server.index_page import index_endpoint
from api_server.openapi import describe_endpoint
from flows_platform.access import exchange
from flows_platform.access.hosts import HostList


def create_app(config: ServerConfig, features: Sequence[Feature]) -> Starlette:
    """The ASGI application that serves these features, at least one.

    Raises:
        PlatformError: a feature's data is missing or of another kind.
    """
    for feature in features:
        feature.check()
    entries = [entry for feature in features for entry in feature.menu()]
    shared = Shared(config, [MenuEntry(paths.INDEX, "Start"), *entries, MenuEntry(paths.DOCS, "API")])

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await shared.admission.drained()
        for feature in features:
            feature.close()

    descriptions = [feature.description() for feature in features]
    app = Starlette(
        routes=[
            *_hook_routes(features),
            *_feature_routes(features, descriptions),
            *_page_routes(features, descriptions),
            *_shared_routes(features, descriptions),
        ],
        exception_handlers={**HANDLERS, **{kind: act for one in features for kind, act in one.handlers().items()}},
        lifespan=lifespan,
        middleware=[
            Middleware(SlicedBodies),
            Middleware(SecureHeaders),
            Middleware(KnownHosts, hosts=HostList.of(*config.hosts)),
            Middleware(TargetLimit),
        ],
    )
    app.router.redirect_slashes = False
    app.state.shared = shared
    return app


def _feature_routes(features: Sequence[Feature], descriptions: Sequence[Description]) -> list[Route]:
    """The routes of all features. A path without a scope is an error, instead of being open to all."""
    # guard: paths ask for their scope
    return [
        Route(path, requires(described.scopes[path], endpoint), methods=feature.methods().get(path))
        for feature, described in zip(features, descriptions, strict=True)
        for path, endpoint in feature.endpoints().items()
    ]


def _hook_routes(features: Sequence[Feature]) -> list[Route]:
    return [
        Route(path, endpoint, methods=["POST"]) for feature in features for path, endpoint in feature.hooks().items()
    ]


def _page_routes(features: Sequence[Feature], descriptions: Sequence[Description]) -> list[Route]:
    pages = {paths.DOCS: docs} | {path: endpoint for one in features for path, endpoint in one.pages().items()}
    return [
        Route(paths.INDEX, index_endpoint(features, descriptions)),
        Route(STYLE, style),
        *(Route(path, for_people(endpoint)) for path, endpoint in pages.items()),
    ]


def _shared_routes(features: Sequence[Feature], descriptions: Sequence[Description]) -> list[Route]:
    scopes = frozenset(scope for feature in features for scope in feature.own_scopes())
    return [
        Route(paths.HEALTH, health_endpoint(features)),
        Route(exchange.PATH, exchange_endpoint(scopes), methods=["POST"]),
        Route(paths.OPENAPI, describe_endpoint(descriptions)),
    ]
