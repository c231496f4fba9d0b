"""Reports as documents: how the list shows one, and the JSON Schema of its parameters and rows."""

from typing import Any

from api_server.http.openapi_parts import JSON_TYPES, object_schema
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.reports.parameters import ReportParameter
from flows_platform.reports.values import as_text
from flows_platform.reports.versions import DataState


def described(report: ReportDeclaration, state: DataState) -> dict[str, Any]:
    """A report in the list."""
    return {
        "name": report.name,
        "description": report.description,
        "parameters": [_parameter(parameter) for parameter in report.parameters],
        "columns": [column.model_dump(mode="json") for column in report.columns],
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


def schema_document(report: ReportDeclaration) -> dict[str, Any]:
    """JSON Schema with `$defs` for the parameters of a body and for a row."""
    parameters = {
        one.name: {**one.schema_of_value, "description": one.description or one.allowed} for one in report.parameters
    }
    row = {
        column.name: {
            **JSON_TYPES[column.type],
            "type": [JSON_TYPES[column.type]["type"], "null"],
            "description": column.description,
        }
        for column in report.columns
    }
    required = [one.name for one in report.parameters if one.required]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": report.name,
        "description": report.description,
        "$defs": {
            "Parameters": {**object_schema(parameters), "required": required},
            "Row": object_schema(row),
        },
    }
