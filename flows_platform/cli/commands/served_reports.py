"""The reports of a project as a feature of the API server. The warehouse's client is loaded with the first query."""

from functools import partial

from api_server.http.rate import REQUESTS_A_MINUTE
from api_server.reports.feature import ReportsFeature
from flows_platform.cli.commands.declarations import Declarations
from flows_platform.reports.cache import AnswerCache
from flows_platform.reports.runner import LazyRunner, ReportRunner
from flows_platform.reports.service import ReportService
from flows_platform.reports.versions import Versions, VersionsFile
from flows_platform.settings import Settings


def reports_feature(settings: Settings, found: Declarations, a_minute: int = REQUESTS_A_MINUTE) -> ReportsFeature:
    """The reports that were found under these settings; the feature says what is wrong with those that it lacks.

    A token may send `a_minute` requests, or any number where that is 0.
    """
    service = ReportService(
        found.reports,
        LazyRunner(partial(_opened, settings)),
        VersionsFile(Versions(settings.versions)),
        AnswerCache(settings.files.reports),
    )
    return ReportsFeature(service, faults=found.faults, unchecked=found.unchecked, a_minute=a_minute)


def _opened(settings: Settings) -> ReportRunner:
    from flows_platform.cli.commands.report_engine import report_engine

    return report_engine(settings)
