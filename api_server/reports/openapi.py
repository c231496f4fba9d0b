"""The reports in the OpenAPI description: every report has paths of its own, with its parameters and columns."""

from collections.abc import Iterator, Sequence
from typing import Any

from api_server.http.feature import Description
from api_server.http.openapi_parts import (
    ANY_OBJECT,
    NUMBER,
    TEXT,
    Node,
    content,
    failures,
    header,
    path_parameter,
    problem,
    query_parameter,
    read_path,
)
from api_server.http.tokens import Scope
from api_server.reports import paths
from api_server.reports.problems import KINDS
from api_server.reports.requests import FORMAT, FORMATS, NUMBERS, ORIGINAL, SHAPE
from api_server.reports.schemas import LIST_SCHEMA, answer_schema, parameters_schema
from flows_platform.formats.protocol.names import RECORD_COUNT_HEADER, WireFormat
from flows_platform.reports.declaration import ReportDeclaration, names_in
from flows_platform.reports.encode import USUAL, Form
from flows_platform.reports.parameters import ReportParameter


def description(reports: Sequence[ReportDeclaration]) -> Description:
    """The description of the report paths."""
    further = [path for report in reports for path in report.paths]
    described = dict(_paths(reports))
    return Description(
        title="Report API",
        text="Declared reports over the warehouse's tables.",
        paths=described,
        scopes=paths.SCOPES | dict.fromkeys((*described, *further), Scope.REPORTS_READ),
        schemas={},
        problems=KINDS,
        protected=(("the reports", Scope.REPORTS_READ),),
        private=frozenset(described.keys() - {paths.LIST}),
    )


def _paths(reports: Sequence[ReportDeclaration]) -> Iterator[tuple[str, Node]]:
    listed = _responses("All reports.", content("application/json", LIST_SCHEMA))
    yield paths.LIST, read_path("list_reports", "All reports.", [], listed | _UNCHANGED)
    for report in reports:
        own = [_parameter(one) for one in report.parameters]
        yield (
            paths.ONE.format(name=report.name),
            read_path(f"report_{report.name}", report.description, [*own, *_SHOWN], _rows(report, USUAL)),
        )
        yield paths.QUERY.format(name=report.name), {"post": _query(report)}
    if reports:
        name = path_parameter("name", {**TEXT, "enum": [report.name for report in reports]})
        schema = _responses("JSON Schema of a report.", content("application/json", ANY_OBJECT)) | _MISSING
        yield paths.SCHEMA, read_path("report_schema", "The schema of a report's parameters and rows.", [name], schema)
    for report in reports:
        yield from _further(report)


def _further(report: ReportDeclaration) -> Iterator[tuple[str, Node]]:
    form = ORIGINAL if report.uses.original else USUAL
    for index, path in enumerate(report.paths):
        given = names_in(path)
        own = [_parameter(one, in_path=one.name in given) for one in report.parameters]
        operation = f"report_{report.name}_path_{index + 1}"
        yield path, read_path(operation, report.description, [*own, *_SHOWN], _rows(report, form))


def _parameter(parameter: ReportParameter, *, in_path: bool = False) -> Node:
    described: Node = {
        "name": parameter.name,
        "in": "path" if in_path else "query",
        "required": in_path or parameter.required,
        "description": parameter.description or parameter.allowed,
        "schema": parameter.schema_of_value,
    }
    return described | ({"style": "form", "explode": False} if parameter.many else {})


def _query(report: ReportDeclaration) -> Node:
    body = {"required": True, "content": content("application/json", parameters_schema(report))}
    return {
        "operationId": f"query_{report.name}",
        "summary": f"{report.description} The parameters are JSON.",
        "parameters": list(_SHOWN),
        "requestBody": body,
        "responses": {
            **_rows(report, USUAL),
            "413": problem("The body is too large."),
            "415": problem("The body's type is not JSON."),
        },
    }


_SHOWN = [query_parameter(one) for one in (FORMAT, NUMBERS, SHAPE)]
_MISSING: Node = {"404": problem("There is no report of that name.")}
_UNCHANGED: Node = {"304": {"description": "The answer is unchanged."}}


def _responses(summary: str, body: Node) -> dict[str, Any]:
    return {
        "200": {"description": summary, "content": body},
        "400": problem("A parameter is refused."),
        "429": problem("The token has sent as many requests as it may send in a minute.", retry=True),
        **failures(),
    }


def _rows(report: ReportDeclaration, form: Form) -> Node:
    rows: Node = {kind.content_type: {} for kind in FORMATS}
    rows[WireFormat.JSON.content_type] = {"schema": answer_schema(report, form)}
    responses = _responses("The rows.", rows)
    responses["200"]["headers"] = {RECORD_COUNT_HEADER: header("Number of rows.", NUMBER)}
    return {
        **responses,
        **_UNCHANGED,
        "406": problem("No format fits the Accept header."),
        "422": problem("Too many rows, too many bytes, or values for which the answer cannot be computed."),
        "504": problem("The query took too long.", retry=True),
    }
