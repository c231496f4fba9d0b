"""Pieces of an OpenAPI description that every path uses: problems, parameters, headers, contents."""

from typing import Any

from api_server.flows.parameters import Parameter
from api_server.http import problems

type Node = dict[str, Any]


def failures() -> Node:
    """What any path may answer instead of what was asked for."""
    return {
        "414": problem("The path and query are too long."),
        "421": problem("The Host header is not a name of this server."),
        "431": problem("The request line and headers are too long."),
        "500": problem("The server failed."),
        "503": problem("The database cannot be read now, or as many streams run as the server admits.", retry=True),
    }


def problem(description: str, *, retry: bool = False) -> Node:
    """A problem document, with the time to come again where there is one."""
    schema = {"$ref": "#/components/schemas/Problem"}
    answer: Node = {"description": description, "content": content(problems.CONTENT_TYPE, schema)}
    if retry:
        seconds: Node = {"type": "integer", "minimum": 1}
        answer["headers"] = {"Retry-After": header("Seconds after which to come again.", seconds, required=True)}
    return answer


def query_parameter(parameter: Parameter) -> Node:
    """A parameter of the query string."""
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.description,
        "schema": parameter.schema,
    }


def header(description: str, schema: Node, *, required: bool = False) -> Node:
    """A header of an answer."""
    return {"description": description, "schema": schema, "required": required}


def content(content_type: str, schema: Node) -> Node:
    """A body of one type."""
    return {content_type: {"schema": schema}}


def without_body(responses: Node) -> Node:
    """The answers to HEAD: that of 200 without its content."""
    done = {name: part for name, part in responses["200"].items() if name != "content"}
    return {**responses, "200": done}
