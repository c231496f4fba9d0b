"""What a request's token allows: the reports that it may read, and the parameters whose values it fixes."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.requests import Request

from api_server.http.authorization import grant_of, insufficient
from api_server.http.problems import Problem
from api_server.http.tokens import Grant, Scope, report_scope
from api_server.reports.requests import Shown, named
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.reports.parameters import NAME
from flows_platform.reports.service import Asked, ReportService

type Reports = Mapping[str, ReportDeclaration]


def readable(request: Request, reports: Reports) -> dict[str, ReportDeclaration]:
    """The reports that the request's token may read. Each has all the parameters that the token fixes."""
    grant = grant_of(request)
    return {name: report for name, report in reports.items() if _reads(grant, report)}


def reads_all(request: Request) -> bool:
    """Whether the request's token may read all reports, with any parameters."""
    return grant_of(request).has(Scope.REPORTS_READ)


def report_for(request: Request, name: str, reports: Reports) -> ReportDeclaration:
    """The report with this name, if the request's token may read it.

    Raises:
        Problem: 404 if there is no such report; 403 if the token is for other reports, whether or not there is such a
            report.
    """
    found = readable(request, reports)
    if name not in found and Scope.REPORTS_READ not in grant_of(request).scopes:
        raise insufficient(report_scope(name) if re.fullmatch(NAME, name) else Scope.REPORTS_READ)
    return named(name, found)


def asked_by(
    request: Request,
    service: ReportService,
    report: ReportDeclaration,
    given: Mapping[str, Any],
    shown: Shown,
    *,
    as_original: bool = False,
) -> Asked:
    """The request for a report, with the parameters that its token fixes. All endpoints of rows use this function.

    Args:
        request: The HTTP request.
        service: The service of the report.
        report: The report.
        given: The parameters that the request gives.
        shown: The format and form of the answer.
        as_original: Whether a reversed range has no rows, instead of being refused.

    Raises:
        Problem: 403 if the request gives another value for a fixed parameter, or if its token may not read the report.
        PlatformError: as `ReportService.asked`.
    """
    fixed = _with_fixed(request, report, given)
    return service.asked(report, fixed, *shown, reversed_is_empty=as_original)


def _with_fixed(request: Request, report: ReportDeclaration, given: Mapping[str, Any]) -> dict[str, Any]:
    grant = grant_of(request)
    # guard: rows are for tokens of their report
    if not _reads(grant, report):
        raise insufficient(report_scope(report.name))
    for parameter in report.parameters:
        fixed, name = grant.fixed.get(parameter.name), parameter.name
        # guard: fixed parameters keep their value
        if fixed is not None and name in given and parameter.read(given[name]) != parameter.read(fixed):
            detail = f"The token fixes {name}: leave it out."
            members = {"parameter": name, "allowed": fixed}
            raise Problem(HTTPStatus.FORBIDDEN, "fixed-parameter", detail, members=members)
    # guard: fixed parameters are given
    return {**given, **grant.fixed}


def _reads(grant: Grant, report: ReportDeclaration) -> bool:
    # guard: a fixed parameter bounds every report
    return grant.reads(report.name) and grant.fixed.keys() <= {parameter.name for parameter in report.parameters}
