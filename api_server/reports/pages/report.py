"""The page of a report with its form, rows and chart, and the report's answers as files for signed-in readers."""

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from starlette.requests import Request
from starlette.responses import Response

from api_server.http.feature import Endpoint
from api_server.http.pages import HEADERS, page
from api_server.http.problems import Problem
from api_server.http.responses import headers_alone
from api_server.http.shared import shared_of
from api_server.http.subrequest import SubResponse, ask
from api_server.http.tokens import Grant
from api_server.reports import paths as api
from api_server.reports.pages.chart import chart_of
from api_server.reports.pages.examples import examples
from api_server.reports.pages.fields import Field, field_of, joined
from api_server.reports.pages.table import table_of_texts
from api_server.reports.problems import KINDS, report_problems
from api_server.reports.requests import split
from api_server.reports.routes import AS_OF_HEADER
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.reports.encode import table_of
from flows_platform.reports.parameters import ReportParameter
from flows_platform.reports.service import Asked, ReportService

TEMPLATE = "report.html"
# The problems that the API gives only to readers of the report. A token's rate limit is checked before its scope.
OF_READERS = {"invalid-parameter", *KINDS} - {"too-many-requests"}
TIMING = re.compile(r"([a-z]+);dur=([0-9.]+)")


def report_endpoint(service: ReportService) -> Endpoint:
    """The page of a report; if the path ends with a format, the report's answer as a file."""

    async def shown(request: Request) -> Response:
        name, ending = split(request.path_params["name"])
        report = service.reports.get(name)
        given = _given(request, report.parameters if report else ())
        target = f"{api.LIST}/{quote(name, safe='')}.{ending or WireFormat.ARROW}"
        asked = f"?{urlencode(given)}" if given else ""
        if ending:
            return await _file(request, f"{target}{asked}", f"{name}.{ending}")
        began = time.monotonic()
        found = await ask(request, f"{target}{asked}", method=request.method)
        milliseconds = (time.monotonic() - began) * 1000
        problem = found.problem
        # guard: a page shows a report to its readers alone
        if report is None or (problem and problem.kind not in OF_READERS):
            raise problem or Problem(HTTPStatus.NOT_FOUND, "not-found", "There is no such report.")
        if request.method == "HEAD" or not (problem or found.status == HTTPStatus.OK):  # its reader left
            return headers_alone(HEADERS, found.status, "text/html")
        with report_problems():
            newest = service.state(report).as_of
        view = View(request, report, dict(given), newest, found, milliseconds)
        return await asyncio.to_thread(view.page)

    return shown


def _given(request: Request, parameters: Sequence[ReportParameter]) -> list[tuple[str, str]]:
    """The parameters that a form gives: empty fields are left out, and ticked boxes are joined to a list."""
    lists = {parameter.name for parameter in parameters if parameter.many}
    pairs = parse_qsl(request.scope["query_string"].decode("latin-1"))
    found: list[tuple[str, str]] = []
    for name, value in pairs:
        if name not in lists:
            found.append((name, value))
        elif all(name != other for other, _ in found):
            found.append((name, ",".join(text for other, text in pairs if other == name)))
    return found


async def _file(request: Request, target: str, name: str) -> Response:
    """The API's answer as a file, at a path for which the browser's sign-in is valid."""
    found = await ask(request, target, method=request.method, further=[b"accept-encoding", b"if-none-match"])
    if problem := found.problem:
        raise problem
    response = Response(found.body, found.status, found.headers)
    del response.headers["X-Content-Type-Options"]  # it is added to every answer
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    return response


@dataclass(frozen=True, slots=True)
class View:
    """The content of the page.

    Args:
        request: The request for the page.
        report: The report.
        given: The parameters of the form.
        newest: The end of the newest data, on which defaults may depend; None if there is no data yet.
        found: The API's answer, with rows or with a problem of `OF_READERS`.
        milliseconds: How long the answer took.
    """

    request: Request
    report: ReportDeclaration
    given: Mapping[str, str]
    newest: datetime | None
    found: SubResponse
    milliseconds: float

    def page(self) -> Response:
        """The page."""
        fixed = self._fixed
        required = [one.name for one in self.report.parameters if one.required and one.name not in fixed]
        required = [] if self.given else required
        problem = self.found.problem
        # guard: an empty form is not refused
        if problem and problem.members.get("parameter") in required:
            problem = None
        return page(
            self.request,
            TEMPLATE,
            status=problem.status if problem else HTTPStatus.OK,
            headers=problem.headers if problem else {},
            report=self.report,
            fields=self._fields(problem),
            problem=problem,
            missing=required,
            answer=None if self.found.problem else self._answer(self.found.state["asked"]),
        )

    @property
    def _fixed(self) -> Mapping[str, str]:
        """The parameters that the reader's token fixes, with their values."""
        grant: Grant = self.found.state["grant"]
        return grant.fixed

    def _fields(self, problem: Problem | None) -> list[Field]:
        """The fields with the values that were used: those of the form, defaults, and those that the token fixes."""
        asked: Asked | None = self.found.state.get("asked")
        texts = (
            {name: joined(value) for name, value in asked.values.items()} if asked else {**self._fixed, **self.given}
        )
        refused = problem.members.get("parameter") if problem else None
        error = f"{problem.detail} Allowed: {problem.members['allowed']}." if problem and refused else ""
        return [
            field_of(one, texts.get(one.name), self.newest, error if one.name == refused else "")
            for one in self.report.parameters
        ]

    def _answer(self, asked: Asked) -> dict[str, Any]:
        rows, query = table_of(self.found.body), urlencode(self.given)
        base = str(self.request.base_url).rstrip("/")
        secured = shared_of(self.request).tokens is not None
        return {
            "table": table_of_texts(self.report.columns, rows),
            "chart": chart_of(self.report.chart, rows) if self.report.chart else None,
            "as_of": self.found.headers.get(AS_OF_HEADER, ""),
            "timing": _timing(self.found, self.milliseconds),
            "query": f"?{query}" if query else "",
            "examples": examples(self.report, base, self.given, asked.values, secured=secured),
        }


def _timing(found: SubResponse, milliseconds: float) -> str:
    took = {name: float(duration) for name, duration in TIMING.findall(found.headers.get("server-timing", ""))}
    asked = took.get("warehouse", 0.0)
    whole = f"{milliseconds:,.0f} ms" if milliseconds >= 1 else "less than 1 ms"
    return f"{whole}, {asked:,.0f} of them in the warehouse" if asked else f"{whole}, from the cache"
