"""Reports as documents: how the list shows one, and the JSON Schema of its parameters and rows."""

from collections.abc import Mapping
from typing import Any

from api_server.http.openapi_parts import JSON_TYPES, object_schema
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.reports.parameters import ReportParameter
from flows_platform.reports.values import as_text
from flows_platform.reports.versions import DataState


def described(report: ReportDeclaration, state: DataState, fixed: Mapping[str, str]) -> dict[str, Any]:
    """A report in the list. Parameters that the token fixes are not among those that a request may give."""
    return {
        "name": report.name,
        "description": report.description,
        "parameters": [_parameter(parameter) for parameter in report.parameters if parameter.name not in fixed],
        "fixed": dict(fixed),
        "columns": [column.model_dump(mode="json") for column in report.columns],
        "chart": report.chart and report.chart.model_dump(mode="json"),
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
    given = [one for one in report.parameters if one.name not in fixed]
    parameters = {one.name: {**one.schema_of_value, "description": one.description or one.allowed} for one in given}
    row = {
        column.name: {
            **JSON_TYPES[column.type],
            "type": [JSON_TYPES[column.type]["type"], "null"],
            "description": column.description,
        }
        for column in report.columns
    }
    required = [one.name for one in given if one.required]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": report.name,
        "description": report.description,
        "$defs": {
            "Parameters": {**object_schema(parameters), "required": required},
            "Row": object_schema(row),
        },
    }
