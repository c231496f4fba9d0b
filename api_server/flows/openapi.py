"""OpenAPI's description of flows, made from the schema, the grammar and the paths: nothing in it is written twice."""

from api_server.flows import paths
from api_server.flows.parameters import stream_parameters
from api_server.flows.problems import KINDS
from api_server.http.feature import Description
from api_server.http.negotiation import ContentCoding
from api_server.http.openapi_parts import (
    JSON_TYPES,
    NUMBER,
    TEXT,
    Node,
    array_of,
    failures,
    header,
    json_content,
    nullable,
    object_schema,
    plain_path,
    problem,
    query_parameter,
    reference,
)
from api_server.http.tokens import Scope
from flows_platform.domain.schema import INT64_MIN, Column, TableSchema
from flows_platform.formats.protocol.names import (
    BASE64,
    COUNT,
    DIGEST,
    ENCODING_ATTRIBUTE,
    END,
    RECORD,
    RECORD_COUNT_HEADER,
    RECORDS,
    WireFormat,
)

# What each format's body is, by the name of its schema; those without one are texts or bytes that JSON Schema cannot
# describe.
BODIES: dict[WireFormat, Node] = {
    WireFormat.ARROW: {},
    WireFormat.NDJSON: {**TEXT, "description": "A Record as JSON a line."},
    WireFormat.JSON: reference("Records"),
    WireFormat.CSV: {**TEXT, "description": "RFC 4180: a header line, then a record a line, ended by CRLF."},
    WireFormat.XML: reference("RecordsXml"),
}


def description(schema: TableSchema) -> Description:
    """The description of a table's streams."""
    latest = plain_path("latest", "The newest time held and the number of rows.", json_content("Latest"))
    return Description(
        title=f"{schema.name} streaming API",
        text=schema.description,
        paths={**{path: _stream(path, formats) for path, formats in paths.STREAMS.items()}, paths.LATEST: latest},
        scopes=paths.SCOPES,
        schemas=schemas(schema),
        problems=KINDS,
        protected=(("the streams", Scope.FLOWS_READ), (f"<code>{paths.LATEST}</code>", Scope.STATUS_READ)),
    )


def _stream(path: str, formats: tuple[WireFormat, ...]) -> Node:
    suffix = path.removeprefix(paths.STREAM).replace(".", "_")
    parameters = [query_parameter(parameter) for parameter in stream_parameters(formats)]
    bodies = {one.content_type: {"schema": BODIES[one]} for one in formats}
    answers = {"400": problem("A parameter is refused."), **failures()}
    if len(formats) > 1:
        answers["406"] = problem("No format fits the Accept header.")
    operations = {
        "get": ("stream_flows", "The rows whose time is in the bounds, in id order, streamed.", bodies),
        "head": ("count_flows", "The same headers, without the rows.", None),
    }
    return {
        method: {
            "operationId": name + suffix,
            "summary": summary,
            "parameters": parameters,
            "responses": {"200": _records(body), **answers},
        }
        for method, (name, summary, body) in operations.items()
    }


def _records(body: Node | None) -> Node:
    headers = {
        RECORD_COUNT_HEADER: header(
            "The exact number of records that follow.",
            NUMBER,
            required=True,
        ),
        "Content-Encoding": header(
            "Where Accept-Encoding asked for one.",
            {"type": "string", "enum": [coding for coding in ContentCoding if coding is not ContentCoding.IDENTITY]},
        ),
        "Vary": header("Accept and Accept-Encoding.", TEXT),
        "Cache-Control": header("no-store.", TEXT),
    }
    answer: Node = {
        "description": "A transfer that is cut before its end is incomplete: an error on the way closes the "
        "connection, never the document.",
        "headers": headers,
    }
    return answer if body is None else {**answer, "content": body}


def schemas(schema: TableSchema) -> Node:
    """The schemas that those paths refer to."""
    time = nullable({**NUMBER, "minimum": INT64_MIN})
    return {
        "Record": _record(schema),
        "Records": object_schema({RECORDS: array_of(reference("Record")), END: _footer()}),
        "RecordsXml": _records_xml(),
        "Latest": object_schema({"time": time, "rows": NUMBER}),
    }


def _record(schema: TableSchema) -> Node:
    columns = {column.name: _column(column) for column in schema.columns}
    return {**object_schema(columns), "description": schema.description}


def _column(column: Column) -> Node:
    schema = nullable(JSON_TYPES[column.type]) if column.nullable else JSON_TYPES[column.type]
    return {**schema, "description": column.description}


def _footer() -> Node:
    digest: Node = {
        "type": "string",
        "pattern": "^[0-9a-f]{16}$",
        "description": "Where it was asked for: the rows' SHA-256, each cut to 64 bits, added modulo 2^64.",
    }
    footer = object_schema({COUNT: NUMBER})
    return {**footer, "properties": {COUNT: NUMBER, DIGEST: digest}}


def _records_xml() -> Node:
    text = (
        f'`<{RECORDS}><{RECORD}>…</{RECORD}>…<?{END} {COUNT}="N"?></{RECORDS}>`; a text that XML 1.0 cannot carry is '
        f'in base64, marked by `{ENCODING_ATTRIBUTE}="{BASE64}"` on its element.'
    )
    return {
        "type": "array",
        "items": {"allOf": [reference("Record")], "xml": {"name": RECORD}},
        "xml": {"name": RECORDS, "wrapped": True},
        "description": text,
    }
