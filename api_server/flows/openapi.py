"""The OpenAPI 3.1 description, made from the schema, the grammar and the paths: nothing in it is written down twice."""

from functools import lru_cache

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api_server.cves.openapi import cve_components, cve_paths
from api_server.flows.openapi_schemas import NUMBER, components
from api_server.flows.parameters import refuse_parameters, stream_parameters
from api_server.http import paths
from api_server.http.negotiation import ContentCoding
from api_server.http.openapi_parts import Node, content, failures, header, problem, query_parameter, without_body
from api_server.http.tokens import Scope
from api_server.state import state_of
from flows_platform.domain.schema import TableSchema
from flows_platform.formats.protocol.names import RECORD_COUNT_HEADER, WireFormat
from flows_platform.sources.nvd_cves.schema import NOTICE

VERSION = "1.0.0"
BEARER = "token"
# What each format's body is, by the name of its schema; those without one are texts or bytes that JSON Schema cannot
# describe.
BODIES: dict[WireFormat, Node] = {
    WireFormat.ARROW: {},
    WireFormat.NDJSON: {"type": "string", "description": "A Record as JSON a line."},
    WireFormat.JSON: {"$ref": "#/components/schemas/Records"},
    WireFormat.CSV: {"type": "string", "description": "RFC 4180: a header line, then a record a line, ended by CRLF."},
    WireFormat.XML: {"$ref": "#/components/schemas/RecordsXml"},
}
# Who may ask; the other paths are open to all.
SCOPES = {
    **dict.fromkeys(paths.STREAMS, Scope.FLOWS_READ),
    paths.LATEST: Scope.STATUS_READ,
    **dict.fromkeys(cve_paths(), Scope.CVES_READ),
}


async def describe(request: Request) -> Response:
    """The description of this server."""
    refuse_parameters(request.scope["query_string"])
    state = state_of(request)
    secured = state.tokens is not None
    return JSONResponse(document(state.schema, secured=secured), headers={"Cache-Control": "no-store"})


@lru_cache
def document(schema: TableSchema, *, secured: bool = False) -> Node:
    """The description of the API over a table; `secured` where tokens are asked for."""
    described = _document(schema)
    if secured:
        described["components"]["securitySchemes"] = {BEARER: {"type": "http", "scheme": "bearer"}}
        for path, scope in SCOPES.items():
            for operation in described["paths"][path].values():
                _secure(operation, scope)
    return described


def _secure(operation: Node, scope: Scope) -> None:
    challenge = {"WWW-Authenticate": header("What is missing.", {"type": "string"}, required=True)}
    operation["security"] = [{BEARER: [scope]}]
    operation["responses"] |= {
        "401": {**problem("No valid token."), "headers": challenge},
        "403": {**problem(f"The token lacks the scope {scope}."), "headers": challenge},
    }


def _document(schema: TableSchema) -> Node:
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": f"{schema.name} streaming API",
            "version": VERSION,
            "description": f"{schema.description} {NOTICE}",
        },
        "servers": [{"url": "/"}],
        "paths": {
            **{path: _stream(path, formats) for path, formats in paths.STREAMS.items()},
            **cve_paths(),
            paths.LATEST: _plain("latest", "The newest time held and the number of rows.", _json("Latest")),
            paths.HEALTH: _plain("health", "Whether the database opens.", _json("Health")),
            paths.OPENAPI: _plain("openapi", "This description.", content("application/json", {"type": "object"})),
            paths.INDEX: _plain("index", "A page that says what is here.", content("text/html", {"type": "string"})),
        },
        "components": {"schemas": components(schema)["schemas"] | cve_components()},
    }


def _stream(path: str, formats: tuple[WireFormat, ...]) -> Node:
    suffix = path.removeprefix(paths.STREAM).replace(".", "_")
    parameters = [query_parameter(parameter) for parameter in stream_parameters(formats)]
    bodies = {wire_format.content_type: {"schema": BODIES[wire_format]} for wire_format in formats}
    answers = {"400": problem("A parameter is refused."), **failures()}
    if len(formats) > 1:
        answers["406"] = problem("No format fits the Accept header.")
    operations = {
        "get": ("stream_flows", "The rows whose time is in the bounds, in id order, streamed.", bodies),
        "head": ("count_flows", "The same headers, without the rows.", None),
    }
    return {
        method: {
            "operationId": name + suffix,
            "summary": summary,
            "parameters": parameters,
            "responses": {"200": _records(body), **answers},
        }
        for method, (name, summary, body) in operations.items()
    }


def _records(body: Node | None) -> Node:
    headers = {
        RECORD_COUNT_HEADER: header(
            "The exact number of records that follow.",
            NUMBER,
            required=True,
        ),
        "Content-Encoding": header(
            "Where Accept-Encoding asked for one.",
            {"type": "string", "enum": [coding for coding in ContentCoding if coding is not ContentCoding.IDENTITY]},
        ),
        "Vary": header("Accept and Accept-Encoding.", {"type": "string"}),
        "Cache-Control": header("no-store.", {"type": "string"}),
    }
    answer: Node = {
        "description": "A transfer that is cut before its end is not whole: an error on the way closes the connection, "
        "never the document.",
        "headers": headers,
    }
    return answer if body is None else {**answer, "content": body}


def _plain(name: str, summary: str, body: Node) -> Node:
    answers = {"200": {"description": summary, "content": body}, "400": problem("A parameter is given.")}
    responses = {**answers, **failures()}
    return {
        "get": {"operationId": name, "summary": summary, "responses": responses},
        "head": {"operationId": f"{name}_head", "summary": summary, "responses": without_body(responses)},
    }


def _json(name: str) -> Node:
    return content("application/json", {"$ref": f"#/components/schemas/{name}"})
