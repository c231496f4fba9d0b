"""The page at `/docs`: the OpenAPI description for people. It needs no script, and loads nothing from other sites."""

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from api_server.http import paths
from api_server.http.openapi_parts import Node
from api_server.http.pages import page
from api_server.http.parameters import refuse_parameters
from api_server.http.subrequest import ask_or_raise

METHODS = ("get", "post", "put", "delete")
TYPES = ("type", "format", "minimum", "maximum", "pattern", "maxLength", "const")


class Operation(NamedTuple):
    """A method of a path."""

    method: str
    path: str
    described: Node
    command: str


async def docs(request: Request) -> Response:
    """The page."""
    refuse_parameters(request.scope["query_string"])
    document = json.loads((await ask_or_raise(request, paths.OPENAPI)).body)
    schemas = document["components"]["schemas"]
    return page(
        request,
        "docs.html",
        title=document["info"]["title"],
        info=document["info"],
        operations=list(_operations(document, str(request.base_url).rstrip("/"))),
        schemas={name: json.dumps(schema, indent=2) for name, schema in schemas.items()},
        openapi=paths.OPENAPI,
        brief=_brief,
        schema_name=_schema_name,
    )


def _operations(document: Node, base: str) -> Iterator[Operation]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield Operation(method.upper(), path, item[method], _command(method, path, item[method], base))


def _command(method: str, path: str, described: Node, base: str) -> str:
    """The request as a curl command."""
    words = ["curl", "--fail-with-body", "--compressed"]
    if method != "get":
        words += ["--request", method.upper()]
    if "security" in described:
        words += ["--header", '"Authorization: Bearer $TOKEN"']
    if body := described.get("requestBody"):
        words += ["--header", shlex.quote(f"Content-Type: {next(iter(body['content']))}"), "--data", "@body"]
    return " ".join([*words, shlex.quote(base + quote(path, safe="/{}"))])


def _brief(schema: Mapping[str, Any]) -> str:
    """A parameter's schema in one line."""
    if schema.get("type") == "array":
        return f"a list: {_brief(schema['items'])}"
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    named = [f"{key} {schema[key]}" if key not in {"type", "format"} else schema[key] for key in TYPES if key in schema]
    return ", ".join(", ".join(one) if isinstance(one, list) else one for one in named)


def _schema_name(schema: Mapping[str, Any]) -> str:
    """The name of the schema to which this one, or its items, refers; empty if there is none."""
    reference = schema.get("$ref") or schema.get("items", {}).get("$ref") or ""
    return str(reference).rpartition("/")[2]
