"""Prints a report's rows for its default values, straight from the warehouse."""

from rich.table import Table

from flows_platform.cli.commands.console import output_console
from flows_platform.cli.commands.terminal import say
from flows_platform.components.report import declared_reports
from flows_platform.domain.schema import ColumnType
from flows_platform.orchestration.metadata.first_rows import cell
from flows_platform.orchestration.resources import build_resources
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.reports.engine import ReportEngine
from flows_platform.reports.parameters import values_of
from flows_platform.reports.versions import Versions, VersionsFile
from flows_platform.settings import Settings

TEXTS = {ColumnType.STRING, ColumnType.DATE, ColumnType.TIMESTAMP, ColumnType.BOOL}


def show_report(name: str, settings: Settings) -> None:
    """Run the report of that name and print its rows.

    Raises:
        PlatformError: the query failed, or a default needs data that there is not.
    """
    found = declared_reports(settings)
    (report,) = (one for one in found.reports if one.name == name)
    newest = VersionsFile(Versions(settings.versions)).newest(report.over)
    values = values_of(report.parameters, {}, newest)
    with build_resources(settings).warehouse.warehouse() as opened:
        rows = ReportEngine(opened.client, opened.dataset, opened.location).run(report, values)
    say(f"Report {report.name}: {report.description}")
    output_console().print(_table(report, rows.table.to_pylist()))


def _table(report: ReportDeclaration, rows: list[dict[str, object]]) -> Table:
    table = Table()
    for column in report.columns:
        table.add_column(column.name, justify="left" if column.type in TEXTS else "right")
    for row in rows:
        table.add_row(*("" if value is None else str(cell(value)) for value in row.values()))
    return table
