"""Reports as documents: how the list shows one, and the JSON Schema of its parameters and rows."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from api_server.http.openapi_parts import ANY_OBJECT, JSON_TYPES, NUMBER, TEXT, Node, array_of, nullable, object_schema
from flows_platform.reports.bodies import EXACT, USUAL, Form
from flows_platform.reports.declaration import ReportColumn, ReportDeclaration
from flows_platform.reports.parameters import ReportParameter
from flows_platform.reports.values import as_text
from flows_platform.reports.versions import DataState

FOLDER = re.compile(r"(?:/[^/:\n]+)+/(?=[^/:\n]+:)")
LIST_SCHEMA = object_schema({"reports": array_of(ANY_OBJECT), "faults": array_of(TEXT), "unchecked": array_of(TEXT)})


def without_folder(fault: str) -> str:
    """A fault without the folders of its files: readers of reports need not know them."""
    return FOLDER.sub("", fault)


def described(report: ReportDeclaration, state: DataState, fixed: Mapping[str, str]) -> dict[str, Any]:
    """A report in the list. Parameters that the token fixes are not among those that a request may give."""
    return {
        "name": report.name,
        "description": report.description,
        "parameters": [_parameter(parameter) for parameter in report.parameters if parameter.name not in fixed],
        "fixed": dict(fixed),
        "columns": [column.model_dump(mode="json", exclude_none=True) for column in report.columns],
        "chart": report.chart and report.chart.model_dump(mode="json"),
        "paths": list(report.paths),
        "data_as_of": as_text(state.as_of) if state.as_of else None,
    }


def _parameter(parameter: ReportParameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "type": parameter.type.value,
        "many": parameter.many,
        "required": parameter.required,
        "default": parameter.default,
        "description": parameter.description,
        "allowed": parameter.allowed,
    }


def schema_document(report: ReportDeclaration, fixed: Mapping[str, str]) -> dict[str, Any]:
    """JSON Schema with `$defs` for the parameters of a body, without those that the token fixes, and for a row."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": report.name,
        "description": report.description,
        "$defs": {"Parameters": parameters_schema(report, fixed), "Row": row_schema(report)},
    }


def parameters_schema(report: ReportDeclaration, fixed: Collection[str] = ()) -> Node:
    """The parameters of a body, without those that the token fixes."""
    given = [one for one in report.parameters if one.name not in fixed]
    parameters = {one.name: {**one.schema_of_value, "description": one.description or one.allowed} for one in given}
    return {**object_schema(parameters), "required": [one.name for one in given if one.required]}


def row_schema(report: ReportDeclaration, form: Form = USUAL) -> Node:
    """A row in JSON."""
    return object_schema(
        {column.name.upper() if form.capitals else column.name: _column(column, form) for column in report.columns}
    )


def _column(column: ReportColumn, form: Form) -> Node:
    own = TEXT if column.type in form.texts else JSON_TYPES[column.type]
    return {**nullable(own), "description": column.description}


def answer_schema(report: ReportDeclaration, form: Form) -> Node:
    """An answer in JSON: the form of the path, or what the request changes of it."""
    rows: list[Node] = [
        array_of(row_schema(report, Form(texts=texts, capitals=form.capitals)))
        for texts in dict.fromkeys((form.texts, EXACT))
    ]
    bare: Node = {"anyOf": rows}
    if form.bare:
        return bare
    around: Node = {
        "report": {"const": report.name},
        "parameters": ANY_OBJECT,
        "data_as_of": nullable({**TEXT, "format": "date-time"}),
        "columns": array_of(ANY_OBJECT),
        "rows": bare,
        "count": NUMBER,
    }
    return {"anyOf": [object_schema(around), *rows]}
