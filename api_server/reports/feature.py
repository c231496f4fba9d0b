"""The reports as a feature of the server."""

from collections.abc import Collection, Mapping, Sequence
from html import escape
from types import MappingProxyType

from api_server.http.feature import Description, Endpoint, Feature, MenuEntry, PageSections
from api_server.http.rate import REQUESTS_A_MINUTE, RateLimit
from api_server.http.tokens import report_scope
from api_server.reports import openapi, paths
from api_server.reports.pages import paths as pages
from api_server.reports.pages.listing import listing
from api_server.reports.pages.report import report_endpoint
from api_server.reports.pages.trial import PATHS, trial
from api_server.reports.routes import list_endpoint, path_endpoint, query_endpoint, rows_endpoint, schema_endpoint
from flows_platform.reports.service import ReportService


class ReportsFeature(Feature):
    """Serves declared queries over the warehouse. The service that runs them is given: the server loads no client."""

    def __init__(
        self,
        service: ReportService,
        faults: Sequence[str] = (),
        unchecked: Mapping[str, str] = MappingProxyType({}),
        *,
        a_minute: int = REQUESTS_A_MINUTE,
    ) -> None:
        """Serve the reports of a service.

        Args:
            service: The service.
            faults: Why further reports are not served, by file, line and key.
            unchecked: Why the columns of some reports, by their names, could not be checked yet; all answers are.
            a_minute: Requests that one token may send in a minute; 0 for no limit.
        """
        self._service, self._faults, self._unchecked = service, faults, unchecked
        self._rate = RateLimit(a_minute)
        count = len(service.reports)
        self.source = f"{count} report{'' if count == 1 else 's'}"

    def description(self) -> Description:
        return openapi.description(list(self._service.reports.values()))

    def endpoints(self) -> Mapping[str, Endpoint]:
        endpoints = {
            paths.LIST: list_endpoint(self._service, self._faults, self._unchecked),
            paths.SCHEMA: schema_endpoint(self._service),
            paths.QUERY: query_endpoint(self._service),
            paths.ONE: rows_endpoint(self._service),
            **{
                path: path_endpoint(self._service, report, path)
                for report in self._service.reports.values()
                for path in report.paths
            },
        }
        return {path: self._rate.limited(endpoint) for path, endpoint in endpoints.items()}

    def methods(self) -> Mapping[str, Sequence[str]]:
        return {paths.QUERY: ["POST"]}

    def own_scopes(self) -> Collection[str]:
        return [report_scope(name) for name in self._service.reports]

    def pages(self) -> Mapping[str, Endpoint]:
        found: dict[str, Endpoint] = {pages.LIST: listing, pages.ONE: report_endpoint(self._service)}
        return found | ({pages.TRIAL: trial} if self._has_trial else {})

    def menu(self) -> Sequence[MenuEntry]:
        return [MenuEntry(pages.LIST, "Reports"), *([MenuEntry(pages.TRIAL, "Test")] if self._has_trial else ())]

    @property
    def _has_trial(self) -> bool:
        return {path for report in self._service.reports.values() for path in report.paths} >= PATHS

    async def page(self, base: str, *, shows_data: bool) -> PageSections:
        del base
        # guard: strangers see no names of reports
        reports = self._service.reports.values() if shows_data else ()
        lines = "".join(
            f'<li><a href="{pages.LIST}/{report.name}">{report.name}</a>: {escape(report.description)}</li>'
            for report in reports
        )
        return PageSections(usage=f'<h2><a href="{pages.LIST}">Reports</a></h2><ul>{lines}</ul>')

    def notes(self) -> Sequence[str]:
        return self._faults

    def close(self) -> None:
        self._service.close()
