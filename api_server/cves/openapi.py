"""The CVE paths of the OpenAPI description, made from columns and parameters: nothing in it is written twice."""

from collections.abc import Sequence

from api_server.cves import paths
from api_server.cves.database import KINDS
from api_server.cves.documents import DOCUMENT, INNER, child_name
from api_server.cves.parameters import FORMATS, ID, LIST_PARAMETERS, ONE_PARAMETERS, TOTALS_PARAMETERS
from api_server.cves.routes import COUNTS, NOTICE_HEADER
from api_server.http.feature import Description
from api_server.http.openapi_parts import (
    ANY_OBJECT,
    JSON_TYPES,
    NUMBER,
    TEXT,
    Node,
    array_of,
    content,
    failures,
    header,
    nullable,
    object_schema,
    path_parameter,
    problem,
    query_parameter,
    read_path,
    reference,
)
from api_server.http.parameters import Parameter
from api_server.http.tokens import Scope
from flows_platform.domain.schema import Column, ColumnType
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.sources.nvd_cves import schema
from flows_platform.sources.nvd_cves.filters import Aspect
from flows_platform.sources.nvd_cves.schema import METRIC_RULE, NOTICE, SqlTable

CSV_LINES = "RFC 4180: a header line, then a line for every row, ended by CRLF."
SUMMARIES = {
    Aspect.SEVERITY: "CVEs by severity.",
    Aspect.IMPACT: "CVEs by impact score.",
    Aspect.EXPLOITABILITY: "CVEs by exploitability score.",
    Aspect.ATTACK_VECTOR: "CVEs by attack vector.",
}


def description() -> Description:
    """The description of the CVE paths."""
    return Description(
        title="CVE API",
        text=NOTICE,
        paths=_paths(),
        scopes=paths.SCOPES,
        schemas=_schemas(),
        problems=KINDS,
        protected=(("the CVEs", Scope.CVES_READ),),
    )


def _paths() -> Node:
    link = {"Link": header('Where the next page is, with rel="next", if there is one.', TEXT)}
    described = {paths.CVES: _path("list_cves", "CVEs by filters, a page at a time.", LIST_PARAMETERS, "CvePage", link)}
    for path, aspect in paths.TOTALS.items():
        name = f"cves_by_{path.rpartition('/')[2].replace('-', '_')}"
        described[path] = _path(name, f"{SUMMARIES[aspect]} {METRIC_RULE}", TOTALS_PARAMETERS, _totals_name(aspect), {})
    one = _path("one_cve", "One CVE with all its details; as CSV its line of a list.", ONE_PARAMETERS, "CveAnswer", {})
    for operation in one.values():
        operation["parameters"] = [path_parameter(ID.name, ID.schema, ID.description), *operation["parameters"]]
        operation["responses"]["404"] = problem("The CVE is not held here.")
    return {**described, paths.CVE: one}


def _path(name: str, summary: str, parameters: Sequence[Parameter], body: str, headers: Node) -> Node:
    responses = {
        "200": {
            "description": f"{summary} {NOTICE}",
            "headers": {NOTICE_HEADER: header("NVD's notice.", {"const": NOTICE}, required=True), **headers},
            "content": content(WireFormat.JSON.content_type, reference(body))
            | content(WireFormat.CSV.content_type, {**TEXT, "description": CSV_LINES}),
        },
        "400": problem("A parameter is refused."),
        "406": problem(f"Neither of {' and '.join(FORMATS)} fits the Accept header."),
        **failures(),
    }
    return read_path(name, summary, [query_parameter(parameter) for parameter in parameters], responses)


def _schemas() -> Node:
    """The schemas that those paths refer to."""
    notice: Node = {"const": NOTICE}
    cursor = {**nullable(ID.schema), "description": "The cursor of the next page."}
    page = {"notice": notice, "cves": array_of(reference("CveSummary")), "next": cursor}
    return {
        "CveSummary": object_schema(_summary()),
        "CvePage": object_schema(page),
        "CveAnswer": object_schema({"notice": notice, "cve": object_schema(_detail())}),
        **{_totals_name(aspect): object_schema({"notice": notice, "totals": _totals(aspect)}) for aspect in Aspect},
    }


def _totals_name(aspect: Aspect) -> str:
    return "Cves" + aspect.name.title().replace("_", "")


def _totals(aspect: Aspect) -> Node:
    counted = _summary()[aspect.value]
    mean: Node = {
        **nullable(JSON_TYPES[ColumnType.NUMERIC]),
        "minimum": 0,
        "maximum": 10,
        "description": "Mean of their base scores.",
    }
    counts = dict(zip(COUNTS, ({**NUMBER, "description": "How many CVEs."}, mean), strict=True))
    return array_of(object_schema({aspect.value: counted, **counts}))


def _summary() -> Node:
    """A CVE without a metric has null in the metric's columns."""
    return {
        name: _column(table.column(name), optional=table is not schema.CVES)
        for table, names in schema.SUMMARY
        for name in names
    }


def _detail() -> Node:
    facts = {column.name: _column(column) for column in schema.CVES.columns if column.name not in INNER}
    children = {child_name(table): array_of(_child(table)) for table in schema.CHILDREN}
    document: Node = {**ANY_OBJECT, "description": schema.CVES.column(DOCUMENT).description}
    return {**facts, **_summary(), **children, DOCUMENT: document}


def _child(table: SqlTable) -> Node:
    columns = {column.name: _column(column) for column in table.columns if column.name not in INNER}
    return {**object_schema(columns), "description": table.description}


def _column(column: Column, *, optional: bool = False) -> Node:
    if column.type is ColumnType.JSON:  # lists of texts, in the child tables
        return {**array_of(TEXT), "description": column.description}
    own = JSON_TYPES[column.type]
    return {**(nullable(own) if column.nullable or optional else own), "description": column.description}
