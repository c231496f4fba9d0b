"""The schemas that the OpenAPI description refers to: a record, its documents, the small answers, a problem."""

from typing import Any

from api_server.http.problems import KINDS
from flows_platform.domain.schema import INT64_MAX, INT64_MIN, Column, ColumnType, TableSchema
from flows_platform.formats.protocol.names import BASE64, COUNT, DIGEST, ENCODING_ATTRIBUTE, END, RECORD, RECORDS

type Node = dict[str, Any]

INT64: Node = {"type": "integer", "format": "int64", "minimum": INT64_MIN, "maximum": INT64_MAX}
JSON_TYPES: dict[ColumnType, Node] = {
    ColumnType.INT64: INT64,
    ColumnType.STRING: {"type": "string"},
    ColumnType.TIMESTAMP: {"type": "string", "format": "date-time"},
    ColumnType.FLOAT64: {"type": "number", "format": "double"},
    ColumnType.BOOL: {"type": "boolean"},
    ColumnType.JSON: {"type": ["object", "array", "string", "number", "boolean"]},
}
NUMBER: Node = {"type": "integer", "format": "int64", "minimum": 0, "maximum": INT64_MAX}


def components(schema: TableSchema) -> Node:
    """The `components` of the description."""
    return {
        "schemas": {
            "Record": _record(schema),
            "Records": _object({RECORDS: _list(), END: _footer()}),
            "RecordsXml": _records_xml(),
            "Latest": _object({"time": {**NUMBER, "type": ["integer", "null"], "minimum": INT64_MIN}, "rows": NUMBER}),
            "Health": _object({"status": {"const": "ok"}}),
            "Problem": _problem(),
        }
    }


def _record(schema: TableSchema) -> Node:
    columns = {column.name: _column(column) for column in schema.columns}
    return {**_object(columns), "description": schema.description}


def _column(column: Column) -> Node:
    rendered = {**JSON_TYPES[column.type], "description": column.description}
    if column.nullable:
        kinds = rendered["type"]
        rendered["type"] = [*(kinds if isinstance(kinds, list) else [kinds]), "null"]
    return rendered


def _footer() -> Node:
    digest: Node = {
        "type": "string",
        "pattern": "^[0-9a-f]{16}$",
        "description": "Where it was asked for: the rows' SHA-256, each cut to 64 bits, added modulo 2^64.",
    }
    footer = _object({COUNT: NUMBER})
    return {**footer, "properties": {COUNT: NUMBER, DIGEST: digest}}


def _records_xml() -> Node:
    text = (
        f'`<{RECORDS}><{RECORD}>…</{RECORD}>…<?{END} {COUNT}="N"?></{RECORDS}>`; a text that XML 1.0 cannot carry is '
        f'in base64, marked by `{ENCODING_ATTRIBUTE}="{BASE64}"` on its element.'
    )
    return {
        "type": "array",
        "items": {"allOf": [{"$ref": "#/components/schemas/Record"}], "xml": {"name": RECORD}},
        "xml": {"name": RECORDS, "wrapped": True},
        "description": text,
    }


def _problem() -> Node:
    text: Node = {"type": "string"}
    required = {
        "type": {"type": "string", "enum": [f"/#{kind}" for kind in KINDS]},
        "title": text,
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": text,
    }
    optional = {
        "instance": {"type": "string", "description": "The path, where the request was read so far."},
        "parameter": {"type": "string", "description": "The query parameter that is refused."},
        "allowed": {"type": ["string", "array"], "items": text, "description": "What it may be."},
    }
    problem = _object(required)
    return {**problem, "properties": {**required, **optional}, "description": "RFC 9457."}


def _list() -> Node:
    return {"type": "array", "items": {"$ref": "#/components/schemas/Record"}}


def _object(properties: Node) -> Node:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
