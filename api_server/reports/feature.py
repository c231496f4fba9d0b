"""The reports as a feature of the server."""

from collections.abc import Mapping, Sequence
from html import escape

from api_server.http.feature import Description, Endpoint, Feature, PageSections
from api_server.reports import openapi, paths
from api_server.reports.routes import list_endpoint, query_endpoint, rows_endpoint, schema_endpoint
from flows_platform.reports.service import ReportService


class ReportsFeature(Feature):
    """Declared queries over the warehouse. What runs them comes from outside: the server loads no client."""

    source = "reports"

    def __init__(self, service: ReportService) -> None:
        self._service = service

    def description(self) -> Description:
        return openapi.description(list(self._service.reports))

    def endpoints(self) -> Mapping[str, Endpoint]:
        return {
            paths.LIST: list_endpoint(self._service),
            paths.SCHEMA: schema_endpoint(self._service),
            paths.QUERY: query_endpoint(self._service),
            paths.ONE: rows_endpoint(self._service),
        }

    def methods(self) -> Mapping[str, Sequence[str]]:
        return {paths.QUERY: ["POST"]}

    async def page(self, base: str, *, shows_data: bool) -> PageSections:
        del base
        # guard: strangers see no names of reports
        reports = self._service.reports.values() if shows_data else ()
        lines = "".join(
            f'<li><a href="{paths.LIST}/{report.name}">{report.name}</a>: {escape(report.description)}</li>'
            for report in reports
        )
        return PageSections(usage=f"<h2>Reports</h2><ul>{lines}</ul>")

    def close(self) -> None:
        self._service.close()
