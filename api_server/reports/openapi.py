"""The report paths of the OpenAPI description."""

from collections.abc import Sequence

from api_server.http.feature import Description
from api_server.http.openapi_parts import Node, content, failures, header, object_schema, problem, without_body
from api_server.http.tokens import Scope
from api_server.reports import paths
from api_server.reports.problems import KINDS
from api_server.reports.requests import FORMAT, FORMATS
from flows_platform.formats.protocol.names import RECORD_COUNT_HEADER


def description(names: Sequence[str]) -> Description:
    """The description of the report paths; `names` are those of the reports."""
    return Description(
        title="Report API",
        text="Declared reports over the warehouse's tables.",
        paths=_paths(names),
        scopes=paths.SCOPES,
        schemas={},
        problems=KINDS,
        protected=(("the reports", Scope.REPORTS_READ),),
    )


def _paths(names: Sequence[str]) -> Node:
    anything: Node = {"type": "object"}
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "enum": list(names)}}
    format_ = {"name": FORMAT.name, "in": "query", "description": FORMAT.description, "schema": FORMAT.schema}
    further = {"name": "parameters", "in": "query", "schema": anything, "description": "Those of the report's schema."}
    rows = _rows()
    listed = _responses("All reports.", content("application/json", anything))
    schema = _responses("JSON Schema of a report.", content("application/json", anything)) | {"404": _MISSING}
    body = {"required": True, "content": content("application/json", anything)}
    query: Node = {
        "operationId": "query_report",
        "summary": "A report's rows, by parameters in JSON.",
        "parameters": [name, format_],
        "requestBody": body,
        "responses": {
            **rows,
            "413": problem("The body is too long."),
            "415": problem("The body is not JSON by its type."),
        },
    }
    return {
        paths.LIST: _read("list_reports", "All reports.", [], listed),
        paths.ONE: _read("report", "A report's rows.", [name, format_, further], rows),
        paths.SCHEMA: _read("report_schema", "The schema of a report's parameters and rows.", [name], schema),
        paths.QUERY: {"post": query},
    }


_MISSING = problem("There is no report of that name.")


def _read(operation: str, summary: str, parameters: Sequence[Node], responses: Node) -> Node:
    shared = {"summary": summary, "parameters": list(parameters)}
    return {
        "get": {"operationId": operation, **shared, "responses": responses},
        "head": {"operationId": f"{operation}_head", **shared, "responses": without_body(responses)},
    }


def _responses(summary: str, body: Node) -> Node:
    return {"200": {"description": summary, "content": body}, "400": problem("A parameter is refused."), **failures()}


def _rows() -> Node:
    number: Node = {"type": "integer", "minimum": 0}
    rows = {
        kind.content_type: {"schema": object_schema({}) | {"additionalProperties": True} if kind == "json" else {}}
        for kind in FORMATS
    }
    responses = _responses("The rows.", rows)
    responses["200"]["headers"] = {RECORD_COUNT_HEADER: header("Number of rows.", number)}
    return {
        **responses,
        "304": {"description": "The answer is unchanged."},
        "404": _MISSING,
        "406": problem("No format fits the Accept header."),
        "422": problem("The answer has too many rows, or the query reads too many bytes."),
        "504": problem("The query took too long.", retry=True),
    }
