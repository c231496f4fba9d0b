"""The OpenAPI 3.1 description, made from the schema, the grammar and the paths: nothing in it is written down twice."""

from functools import lru_cache
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api_server import paths, problems
from api_server.negotiation import ContentCoding
from api_server.openapi_schemas import components
from api_server.parameters import FLAG, FlagParameter, FormatParameter, Parameter, refuse_parameters, stream_parameters
from api_server.state import state_of
from api_server.tokens import Scope
from flows_platform.domain.schema import INT64_MAX, TableSchema
from flows_platform.wire.formats import RECORD_COUNT_HEADER, WireFormat

type Node = dict[str, Any]

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
        for path, scope in [*((path, Scope.FLOWS_READ) for path in paths.STREAMS), (paths.LATEST, Scope.STATUS_READ)]:
            for operation in described["paths"][path].values():
                _secure(operation, scope)
    return described


def _secure(operation: Node, scope: Scope) -> None:
    challenge = {"WWW-Authenticate": _header("What is missing.", {"type": "string"}, required=True)}
    operation["security"] = [{BEARER: [scope]}]
    operation["responses"] |= {
        "401": {**_problem("No valid token."), "headers": challenge},
        "403": {**_problem(f"The token lacks the scope {scope}."), "headers": challenge},
    }


def _document(schema: TableSchema) -> Node:
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {"title": f"{schema.name} streaming API", "version": VERSION, "description": schema.description},
        "servers": [{"url": "/"}],
        "paths": {
            **{path: _stream(path, formats) for path, formats in paths.STREAMS.items()},
            paths.LATEST: _plain("latest", "The newest time held and the number of rows.", _json("Latest")),
            paths.HEALTH: _plain("health", "Whether the database opens.", _json("Health")),
            paths.OPENAPI: _plain("openapi", "This description.", _content("application/json", {"type": "object"})),
            paths.INDEX: _plain("index", "A page that says what is here.", _content("text/html", {"type": "string"})),
        },
        "components": components(schema),
    }


def _stream(path: str, formats: tuple[WireFormat, ...]) -> Node:
    suffix = path.removeprefix(paths.STREAM).replace(".", "_")
    parameters = [_parameter(parameter) for parameter in stream_parameters(formats)]
    body = {wire_format.content_type: {"schema": BODIES[wire_format]} for wire_format in formats}
    answers = {"400": _problem("A parameter is refused."), **_failures()}
    if len(formats) > 1:
        answers["406"] = _problem("No format fits the Accept header.")
    operations = {
        "get": ("stream_flows", "The rows whose time is in the bounds, in id order, streamed.", body),
        "head": ("count_flows", "The same headers, without the rows.", None),
    }
    return {
        method: {
            "operationId": name + suffix,
            "summary": summary,
            "parameters": parameters,
            "responses": {"200": _records(content), **answers},
        }
        for method, (name, summary, content) in operations.items()
    }


def _records(content: Node | None) -> Node:
    headers = {
        RECORD_COUNT_HEADER: _header("The exact number of records that follow.", _integer(0), required=True),
        "Content-Encoding": _header(
            "Where Accept-Encoding asked for one.",
            {"type": "string", "enum": [coding for coding in ContentCoding if coding is not ContentCoding.IDENTITY]},
        ),
        "Vary": _header("Accept and Accept-Encoding.", {"type": "string"}),
        "Cache-Control": _header("no-store.", {"type": "string"}),
    }
    answer: Node = {
        "description": "A transfer that is cut before its end is not whole: an error on the way closes the connection, "
        "never the document.",
        "headers": headers,
    }
    return answer if content is None else {**answer, "content": content}


def _plain(name: str, summary: str, content: Node) -> Node:
    answers = {"200": {"description": summary, "content": content}, "400": _problem("A parameter is given.")}
    responses = {**answers, **_failures()}
    without_body = {"200": {"description": summary}, **{key: responses[key] for key in responses if key != "200"}}
    return {
        "get": {"operationId": name, "summary": summary, "responses": responses},
        "head": {"operationId": f"{name}_head", "summary": summary, "responses": without_body},
    }


def _failures() -> Node:
    return {
        "414": _problem("The path and query are too long."),
        "431": _problem("The request line and headers are too long."),
        "500": _problem("The server failed."),
        "503": _problem("The database cannot be read now, or as many streams run as the server admits.", retry=True),
    }


def _problem(description: str, *, retry: bool = False) -> Node:
    schema = {"$ref": "#/components/schemas/Problem"}
    answer: Node = {"description": description, "content": _content(problems.CONTENT_TYPE, schema)}
    if retry:
        seconds: Node = {"type": "integer", "minimum": 1}
        answer["headers"] = {"Retry-After": _header("Seconds after which to come again.", seconds, required=True)}
    return answer


def _parameter(parameter: Parameter) -> Node:
    if isinstance(parameter, FormatParameter):
        schema: Node = {"type": "string", "enum": list(parameter.formats)}
    elif isinstance(parameter, FlagParameter):
        schema = {"type": "string", "enum": [FLAG]}
    else:
        schema = _integer(parameter.minimum)
    return {"name": parameter.name, "in": "query", "description": parameter.description, "schema": schema}


def _integer(minimum: int) -> Node:
    return {"type": "integer", "format": "int64", "minimum": minimum, "maximum": INT64_MAX}


def _header(description: str, schema: Node, *, required: bool = False) -> Node:
    return {"description": description, "schema": schema, "required": required}


def _json(name: str) -> Node:
    return _content("application/json", {"$ref": f"#/components/schemas/{name}"})


def _content(content_type: str, schema: Node) -> Node:
    return {content_type: {"schema": schema}}
