"""Reports as JSON documents: the entry in the list, and the JSON Schema of parameters and rows."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from api_server.http.openapi_parts import ANY_OBJECT, JSON_TYPES, NUMBER, TEXT, Node, array_of, nullable, object_schema
from flows_platform.reports.declaration import ReportColumn, ReportDeclaration
from flows_platform.reports.encode import EXACT, USUAL, Form
from flows_platform.reports.parameters import ReportParameter
from flows_platform.reports.values import as_text
from flows_platform.reports.versions import DataState

FOLDER = re.compile(r"(?:/[^/:\n]+)+/(?=[^/:\n]+:)")
LIST_SCHEMA = object_schema({"reports": array_of(ANY_OBJECT), "faults": array_of(TEXT), "unchecked": array_of(TEXT)})


def without_folder(fault: str) -> str:
    """A fault without the folders of the files in it, which readers of reports need not know."""
    return FOLDER.sub("", fault)


def described(report: ReportDeclaration, state: DataState, fixed: Mapping[str, str]) -> dict[str, Any]:
    """A report's entry in the list. Its parameters do not include those that the token fixes."""
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
    """The JSON Schema of a report, with `$defs` for the parameters that a request may give and for a row."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": report.name,
        "description": report.description,
        "$defs": {"Parameters": parameters_schema(report, fixed), "Row": row_schema(report)},
    }


def parameters_schema(report: ReportDeclaration, fixed: Collection[str] = ()) -> Node:
    """The schema of a body with parameters, without those that the token fixes."""
    given = [one for one in report.parameters if one.name not in fixed]
    parameters = {one.name: {**one.schema_of_value, "description": one.description or one.allowed} for one in given}
    return {**object_schema(parameters), "required": [one.name for one in given if one.required]}


def row_schema(report: ReportDeclaration, form: Form = USUAL) -> Node:
    """The schema of a row in JSON."""
    return object_schema(
        {column.name.upper() if form.capitals else column.name: _column(column, form) for column in report.columns}
    )


def _column(column: ReportColumn, form: Form) -> Node:
    own = TEXT if column.type in form.texts else JSON_TYPES[column.type]
    return {**nullable(own), "description": column.description}


def answer_schema(report: ReportDeclaration, form: Form) -> Node:
    """The schema of an answer in JSON, in this form or as a request's parameters change it."""
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
