"""The CVEs over HTTP: lists, one, totals, as JSON or CSV, with NVD's notice in every answer. Does not know SQL."""

from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from api_server.cves import paths
from api_server.cves.database import CveDatabase
from api_server.cves.documents import csv_document, detail_document, json_document, summary_rows, totals_rows
from api_server.cves.parameters import (
    CURSOR,
    FORMATS,
    LIST_PARAMETERS,
    ONE_PARAMETERS,
    TOTALS_PARAMETERS,
    CveRequest,
    parse_cves,
    parse_id,
)
from api_server.http.compression import compressed
from api_server.http.feature import Endpoint
from api_server.http.negotiation import choose_coding, choose_format, content_headers, header_list
from api_server.http.parameters import Parameter
from api_server.http.problems import Problem
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.sources.nvd_cves.filters import Aspect
from flows_platform.sources.nvd_cves.schema import NOTICE, SUMMARY_NAMES

if TYPE_CHECKING:
    from flows_platform.sources.nvd_cves.queries import CveQueries

NOTICE_HEADER = "NVD-Notice"
COUNTS = ("cves", "mean_base_score")

# Body and further headers.
type Answer = tuple[bytes, dict[str, str]]
type Read = Callable[[CveQueries, CveRequest, WireFormat], Answer]


def endpoints(database: CveDatabase) -> dict[str, Endpoint]:
    """What answers at every path; the totals come before one CVE, whose path fits theirs too."""

    def endpoint(parameters: Sequence[Parameter], read: Read) -> Endpoint:
        async def answer(request: Request) -> Response:
            return await _answer(request, database, parameters, read)

        return answer

    async def one_cve(request: Request) -> Response:
        cve_id = parse_id(request.path_params["id"])
        return await _answer(request, database, ONE_PARAMETERS, lambda queries, _, form: _one(queries, cve_id, form))

    totals = {path: endpoint(TOTALS_PARAMETERS, partial(_totals, aspect)) for path, aspect in paths.TOTALS.items()}
    return {paths.CVES: endpoint(LIST_PARAMETERS, _page), **totals, paths.CVE: one_cve}


async def _answer(request: Request, database: CveDatabase, parameters: Sequence[Parameter], read: Read) -> Response:
    asked = parse_cves(request.scope["query_string"], parameters)
    wire_format = asked.wire_format or choose_format(header_list(request.headers, "accept"), FORMATS)
    coding = choose_coding(header_list(request.headers, "accept-encoding"))

    def work(queries: "CveQueries") -> Answer:
        body, further = read(queries, asked, wire_format)
        return compressed(body, coding), further

    body, further = await database.run(work)
    # guard: NVD's notice on all answers
    return Response(body, headers=content_headers(wire_format, coding) | {NOTICE_HEADER: NOTICE} | further)


def _page(queries: "CveQueries", asked: CveRequest, wire_format: WireFormat) -> Answer:
    page = queries.page(asked.filter, asked.after, asked.limit)
    rows = summary_rows(page.rows)
    further = {}
    if page.next is not None:
        query = urlencode({**asked.given, CURSOR.name: page.next})
        further["Link"] = f'<{paths.CVES}?{query}>; rel="next"'
    if wire_format is WireFormat.CSV:
        return csv_document(SUMMARY_NAMES, rows), further
    return json_document({"notice": NOTICE, "cves": rows, "next": page.next}), further


def _one(queries: "CveQueries", cve_id: str, wire_format: WireFormat) -> Answer:
    detail = queries.one(cve_id)
    if detail is None:
        raise Problem(HTTPStatus.NOT_FOUND, "not-found", f"{cve_id} is not held here.")
    if wire_format is WireFormat.CSV:
        return csv_document(SUMMARY_NAMES, summary_rows([detail.summary])), {}
    return detail_document(detail), {}


def _totals(aspect: Aspect, queries: "CveQueries", asked: CveRequest, wire_format: WireFormat) -> Answer:
    rows = totals_rows(queries.totals(aspect, asked.min_date))
    if wire_format is WireFormat.CSV:
        return csv_document((aspect.value, *COUNTS), rows), {}
    return json_document({"notice": NOTICE, "totals": rows}), {}
