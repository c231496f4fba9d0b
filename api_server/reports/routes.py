"""The endpoints of reports: their list, a report's rows, and its schema. A 304 needs no query."""

import json
from collections.abc import Mapping, Sequence
from email.utils import format_datetime
from hashlib import sha256
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from api_server.http.authorization import grant_of
from api_server.http.disconnect import until_disconnect
from api_server.http.feature import Endpoint
from api_server.http.negotiation import ContentCoding, choose_coding, content_headers, header_list
from api_server.http.parameters import refuse_parameters
from api_server.http.responses import NO_STORE, headers_alone, matching_tag
from api_server.http.slices import with_body
from api_server.reports import paths
from api_server.reports.access import asked_by, readable, reads_all, report_for
from api_server.reports.problems import report_problems
from api_server.reports.requests import of_body, of_path, of_query, split
from api_server.reports.schemas import described, schema_document, without_folder
from flows_platform.formats.protocol.names import RECORD_COUNT_HEADER, WireFormat
from flows_platform.reports.declaration import ReportDeclaration, names_in
from flows_platform.reports.service import Answer, Asked, ReportService
from flows_platform.reports.values import as_text
from flows_platform.reports.versions import DataState

AS_OF_HEADER = "Data-As-Of"
NOT_MODIFIED = 304
SMALL = 1024  # bytes; answers up to this size are not compressed


def list_endpoint(service: ReportService, faults: Sequence[str], unchecked: Mapping[str, str]) -> Endpoint:
    """The reports that the token may read; for tokens of all reports, also why others are not served."""

    async def reports(request: Request) -> Response:
        refuse_parameters(request.scope["query_string"])
        fixed, found = grant_of(request).fixed, readable(request, service.reports)
        with report_problems():
            listed = [described(report, service.state(report), fixed) for report in found.values()]
        # guard: faults are for readers of all reports
        everything = reads_all(request)
        document = {
            "reports": listed,
            "faults": list(map(without_folder, faults)) if everything else [],
            "unchecked": sorted(unchecked.keys() & found.keys()),
        }
        return _validated(request, json.dumps(document).encode())

    return reports


def schema_endpoint(service: ReportService) -> Endpoint:
    """The JSON Schema of a report's parameters and rows."""

    async def schema(request: Request) -> Response:
        refuse_parameters(request.scope["query_string"])
        report = report_for(request, request.path_params["name"], service.reports)
        return _json(schema_document(report, grant_of(request).fixed))

    return schema


def rows_endpoint(service: ReportService) -> Endpoint:
    """A report's rows, with parameters in the query string."""

    async def rows(request: Request) -> Response:
        name, ending = split(request.path_params["name"])
        report = report_for(request, name, service.reports)
        given, shown = of_query(request, [parameter.name for parameter in report.parameters], ending)
        with report_problems():
            asked = asked_by(request, service, report, given, shown)
        return await _answered(request, service, asked)

    return rows


def path_endpoint(service: ReportService, report: ReportDeclaration, path: str) -> Endpoint:
    """A report's rows at one of its further paths."""
    names = names_in(path)

    async def rows(request: Request) -> Response:
        report_for(request, report.name, service.reports)
        given, shown = of_path(request, report, names)
        with report_problems():
            asked = asked_by(request, service, report, given, shown, as_original=report.uses.original)
        return await _answered(request, service, asked)

    return rows


def query_endpoint(service: ReportService) -> Endpoint:
    """A report's rows, with parameters in a JSON body."""

    async def query(request: Request) -> Response:
        report = report_for(request, request.path_params["name"], service.reports)
        given, shown = await of_body(request)
        with report_problems():
            asked = asked_by(request, service, report, given, shown)
        return await _answered(request, service, asked)

    return query


async def _answered(request: Request, service: ReportService, asked: Asked) -> Response:
    request.state.asked = asked  # the report's page reads it
    coding = choose_coding(header_list(request.headers, "accept-encoding"))
    # guard: an unchanged answer asks no warehouse
    if asked.etag and (tag := matching_tag(request, asked.etag)):
        headers = _headers(asked, asked.state, asked.etag, ContentCoding.IDENTITY)
        return Response(status_code=NOT_MODIFIED, headers={**headers, "ETag": tag})
    held = service.at_hand(asked)
    if request.method == "HEAD":
        return _head(asked, held, coding)
    with report_problems():
        answer = await until_disconnect(request, service.answer(asked)) if held is None else held
    return _body(asked, answer, coding)


def _head(asked: Asked, held: Answer | None, coding: ContentCoding) -> Response:
    """The headers of an answer. They have the count only if the answer is in the cache."""
    counted = {RECORD_COUNT_HEADER: str(held.count)} if held else {}
    return headers_alone({**_headers(asked, asked.state, asked.etag, coding), **counted})


def _body(asked: Asked, answer: Answer, coding: ContentCoding) -> Response:
    coding = coding if len(answer.body) > SMALL else ContentCoding.IDENTITY
    took = {"queue": answer.queue, "warehouse": answer.warehouse, "encode": answer.encoding}
    timing = ", ".join(f"{name};dur={milliseconds:.1f}" for name, milliseconds in took.items())
    headers = {
        **_headers(asked, answer.state, answer.etag, coding),
        RECORD_COUNT_HEADER: str(answer.count),
        "Server-Timing": timing,
    }
    return with_body(answer.body, headers, coding)


def _headers(asked: Asked, state: DataState, etag: str | None, coding: ContentCoding) -> dict[str, str]:
    report = asked.report
    schema = paths.SCHEMA.format(name=report.name)
    headers = {**content_headers(asked.wire_format, coding), "Link": f'<{schema}>; rel="describedby"', **_dates(state)}
    if etag:
        seconds = report.cache.seconds
        # So that a browser does not show an answer to a reader who signed in with another token.
        headers["Vary"] += ", Authorization"
        headers["Cache-Control"] = f"private, max-age={seconds}, stale-while-revalidate={seconds}"
        headers["ETag"] = f'"{etag}"' if coding is ContentCoding.IDENTITY else f'"{etag}-{coding}"'
    return headers


def _dates(state: DataState) -> dict[str, str]:
    dates = {AS_OF_HEADER: as_text(state.as_of)} if state.as_of else {}
    if state.committed:
        dates["Last-Modified"] = format_datetime(state.committed, usegmt=True)
    return dates


def _json(document: Mapping[str, Any]) -> Response:
    return Response(json.dumps(document).encode(), headers=NO_STORE, media_type=WireFormat.JSON.content_type)


def _validated(request: Request, body: bytes) -> Response:
    """JSON with an ETag; a 304 if the client has the same."""
    etag = sha256(body).hexdigest()
    headers = {"Cache-Control": "private, no-cache", "ETag": f'"{etag}"'}
    if matching_tag(request, etag):
        return Response(status_code=NOT_MODIFIED, headers=headers)
    return Response(body, headers=headers, media_type=WireFormat.JSON.content_type)
