"""The OpenAPI 3.1 description of a server, which is composed of those of its features."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from copy import deepcopy
from dataclasses import replace
from functools import cache

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api_server.http import paths
from api_server.http.authorization import presented
from api_server.http.feature import Description, Endpoint, text_of, title_of
from api_server.http.openapi_parts import (
    ANY_OBJECT,
    TEXT,
    Node,
    content,
    failures,
    header,
    json_content,
    object_schema,
    plain_path,
    problem,
)
from api_server.http.parameters import refuse_parameters
from api_server.http.problems import kinds
from api_server.http.responses import NO_STORE
from api_server.http.shared import shared_of
from api_server.http.tokens import Scope
from flows_platform.access import exchange

VERSION = "1.0.0"
BEARER = "token"


def describe_endpoint(features: Sequence[Description]) -> Endpoint:
    """The endpoint of the description, which the first request makes. It shows private paths to their readers."""

    @cache
    def made(held: frozenset[Scope], *, secured: bool) -> Node:
        return document(features, secured=secured, held=held)

    async def describe(request: Request) -> Response:
        refuse_parameters(request.scope["query_string"])
        described = made(
            frozenset(filter(presented(request).has, Scope)), secured=shared_of(request).tokens is not None
        )
        return JSONResponse(described, headers=NO_STORE)

    return describe


def document(
    features: Sequence[Description], *, secured: bool = False, held: AbstractSet[Scope] = frozenset(Scope)
) -> Node:
    """The description.

    Args:
        features: The features, at least one.
        secured: Whether the server requires tokens.
        held: The scopes of the reader, who sees the private paths of these.
    """
    # guard: names of reports are for their readers
    features = [_shown(feature, held) for feature in features]
    leading, *others = features
    described: Node = {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": title_of(features),
            "version": VERSION,
            "description": text_of(features),
        },
        "servers": [{"url": "/"}],
        "paths": _with_hooks(deepcopy(_feature_paths(features)), features) | _shared_paths(),
        "components": {"schemas": leading.schemas | _shared_schemas(kinds(feature.problems for feature in features))},
    }
    for feature in others:
        described["components"]["schemas"] |= feature.schemas
    if secured:
        described["paths"][exchange.PATH] = {"post": _exchange()}
        _secure(described, features)
    return described


def _shown(feature: Description, held: AbstractSet[Scope]) -> Description:
    """The feature without private paths for which the reader lacks the scope."""
    hidden = {path for path in feature.private if feature.scopes[path] not in held}
    shown = {path: item for path, item in feature.paths.items() if path not in hidden}
    return replace(feature, paths=shown, scopes={path: feature.scopes[path] for path in shown})


def _feature_paths(features: Sequence[Description]) -> Node:
    """The paths of all features: first data, then what sensors poll."""
    described = [(path, item, feature.scopes[path]) for feature in features for path, item in feature.paths.items()]
    return {path: item for path, item, _ in sorted(described, key=lambda entry: entry[2] is Scope.STATUS_READ)}


def _with_hooks(paths: Node, features: Sequence[Description]) -> Node:
    """The paths with those of webhooks. A path may be both: it is read with a token, and posted to without one."""
    hooks = {path: item for feature in features for path, item in feature.hooks.items()}
    return paths | {path: paths.get(path, {}) | item for path, item in hooks.items()}


_INDEX = content("text/html", TEXT) | content("application/json", object_schema({"result": TEXT}))


def _shared_paths() -> Node:
    return {
        paths.HEALTH: plain_path("health", "Whether the database opens.", json_content("Health")),
        paths.OPENAPI: plain_path("openapi", "This description.", content("application/json", ANY_OBJECT)),
        paths.INDEX: plain_path("index", "A page that says what is here.", _INDEX),
    }


def _exchange() -> Node:
    """The exchange of a long-lived token for a short one."""
    form = object_schema(
        {
            "grant_type": {"const": exchange.GRANT},
            "subject_token": TEXT,
            "subject_token_type": {"enum": [exchange.ACCESS_TOKEN, exchange.PROGRAMMATIC]},
        }
    )
    form["properties"] |= {"scope": TEXT, "requested_token_type": {"const": exchange.ACCESS_TOKEN}}
    issued = object_schema(
        {
            "access_token": TEXT,
            "issued_token_type": {"const": exchange.ACCESS_TOKEN},
            "token_type": {"const": "Bearer"},
            "expires_in": {"type": "integer", "minimum": 0},
            "scope": TEXT,
        }
    )
    error = content("application/json", object_schema({"error": TEXT, "error_description": TEXT}))
    refused: Node = {"description": "An error of RFC 6749, 5.2.", "content": error}
    unavailable = failures()["503"]
    return {
        "operationId": "exchange_token",
        "summary": "A short token for a long-lived one (RFC 8693).",
        "requestBody": {"required": True, "content": content(exchange.FORM, form)},
        "responses": {
            "200": {
                "description": "The token; as plain text where the type of the subject token is Snowflake's.",
                "content": content("application/json", issued) | content("text/plain", TEXT),
            },
            **failures(),
            "400": {**refused, "content": error | problem("A parameter of the query.")["content"]},
            "408": refused,
            "413": refused,
            "503": {**unavailable, "content": error | unavailable["content"]},
        },
    }


def _shared_schemas(problems: Mapping[str, str]) -> Node:
    required = {
        "type": {**TEXT, "enum": [f"/#{kind}" for kind in problems]},
        "title": TEXT,
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": TEXT,
    }
    optional = {
        "instance": {**TEXT, "description": "The path, where the request was read so far."},
        "parameter": {**TEXT, "description": "The query parameter that is refused."},
        "allowed": {"type": ["string", "array"], "items": TEXT, "description": "What it may be."},
        "error": {"type": ["string", "object"], "description": "The error for clients of other servers' paths."},
    }
    refusal = {**object_schema(required), "properties": {**required, **optional}, "description": "RFC 9457."}
    return {"Health": object_schema({"status": {"const": "ok"}}), "Problem": refusal}


def _secure(described: Node, features: Sequence[Description]) -> None:
    described["components"]["securitySchemes"] = {BEARER: {"type": "http", "scheme": "bearer"}}
    challenge = {"WWW-Authenticate": header("What is missing.", TEXT, required=True)}
    scopes = [(path, scope) for feature in features for path, scope in feature.scopes.items()]
    for path, scope in ((path, scope) for path, scope in scopes if path in described["paths"]):
        hooks = {method for feature in features for method in feature.hooks.get(path, {})}
        for operation in (found for method, found in described["paths"][path].items() if method not in hooks):
            operation["security"] = [{BEARER: [scope]}]
            operation["responses"] |= {
                "401": {**problem("No valid token."), "headers": challenge},
                "403": {**problem(f"The token lacks the scope {scope}."), "headers": challenge},
            }
