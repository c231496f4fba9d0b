"""The parts of OpenAPI descriptions that all features use: paths, problems, parameters, headers, schemas."""

from collections.abc import Sequence
from typing import Any

from api_server.http import problems
from api_server.http.parameters import Parameter
from flows_platform.domain.schema import INT64_MAX, INT64_MIN, ColumnType

type Node = dict[str, Any]

INT64: Node = {"type": "integer", "format": "int64", "minimum": INT64_MIN, "maximum": INT64_MAX}
JSON_TYPES: dict[ColumnType, Node] = {
    ColumnType.INT64: INT64,
    ColumnType.STRING: {"type": "string"},
    ColumnType.TIMESTAMP: {"type": "string", "format": "date-time"},
    ColumnType.FLOAT64: {"type": "number", "format": "double"},
    ColumnType.BOOL: {"type": "boolean"},
    ColumnType.JSON: {"type": ["object", "array", "string", "number", "boolean"]},
    ColumnType.DATE: {"type": "string", "format": "date"},
    ColumnType.NUMERIC: {"type": "number"},
}
NUMBER: Node = {"type": "integer", "format": "int64", "minimum": 0, "maximum": INT64_MAX}
TEXT: Node = {"type": "string"}
ANY_OBJECT: Node = {"type": "object"}


def read_path(operation: str, summary: str, parameters: Sequence[Node], responses: Node) -> Node:
    """A path that is read with GET, or with HEAD for its headers alone; `operation` is the id of the GET."""
    shared = {"summary": summary, **({"parameters": list(parameters)} if parameters else {})}
    return {
        "get": {"operationId": operation, **shared, "responses": responses},
        "head": {"operationId": f"{operation}_head", **shared, "responses": _without_content(responses)},
    }


def plain_path(operation: str, summary: str, body: Node) -> Node:
    """A path that is read and takes no parameters."""
    answers = {"200": {"description": summary, "content": body}, "400": problem("A parameter is given.")}
    return read_path(operation, summary, [], {**answers, **failures()})


def json_content(schema: str) -> Node:
    """A JSON body, by the name of its schema."""
    return content("application/json", reference(schema))


def reference(schema: str) -> Node:
    """A reference to a schema of the description."""
    return {"$ref": f"#/components/schemas/{schema}"}


def array_of(items: Node) -> Node:
    """An array whose items have this schema."""
    return {"type": "array", "items": items}


def object_schema(properties: Node) -> Node:
    """An object with exactly these properties."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def nullable(schema: Node) -> Node:
    """A schema that also allows null."""
    types = schema["type"]
    return {**schema, "type": [*(types if isinstance(types, list) else [types]), "null"]}


def failures() -> Node:
    """The errors that every path may answer with."""
    return {
        "414": problem("The path and query are too long."),
        "421": problem("The Host header is not a name of this server."),
        "431": problem("The request line and headers are too long."),
        "500": problem("The server failed."),
        "503": problem("The database cannot be read now, or as many streams run as the server admits.", retry=True),
    }


def problem(description: str, *, retry: bool = False) -> Node:
    """A problem document; with `retry`, its header says when to try again."""
    answer: Node = {"description": description, "content": content(problems.CONTENT_TYPE, reference("Problem"))}
    if retry:
        seconds: Node = {"type": "integer", "minimum": 1}
        answer["headers"] = {"Retry-After": header("Seconds after which to try again.", seconds, required=True)}
    return answer


def query_parameter(parameter: Parameter) -> Node:
    """A parameter of the query string."""
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.description,
        "schema": parameter.schema,
    }


def path_parameter(name: str, schema: Node, description: str = "") -> Node:
    """A parameter in the path."""
    described = {"description": description} if description else {}
    return {"name": name, "in": "path", "required": True, "schema": schema, **described}


def header(description: str, schema: Node, *, required: bool = False) -> Node:
    """A header of an answer."""
    return {"description": description, "schema": schema, "required": required}


def content(content_type: str, schema: Node) -> Node:
    """A body of one type."""
    return {content_type: {"schema": schema}}


def _without_content(responses: Node) -> Node:
    """The responses to HEAD: as those to GET, but a 200 has no content."""
    done = {name: value for name, value in responses["200"].items() if name != "content"}
    return {**responses, "200": done}
