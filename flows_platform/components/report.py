"""The reports that YAML files declare. A bad file or report is a fault of its own; the others are served."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from flows_platform.components.loader import REPORT, declared_in
from flows_platform.components.source_files import source_files
from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.schema import WarehouseTable
from flows_platform.orchestration.source_faults import SourceFault
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.settings import Settings


class Reports(NamedTuple):
    """The reports that can be served, in the order of their files, and what is wrong with others."""

    reports: list[ReportDeclaration]
    faults: list[SourceFault]


def read_reports(settings: Settings, tables: Mapping[str, WarehouseTable]) -> Reports:
    """The reports of all sources over these tables. Of reports with one name, only the first is served."""
    found = Reports([], [])
    for path in source_files(settings).files:
        try:
            _add(found, path, declared_in(path, REPORT), tables)
        except ConfigurationError as error:
            found.faults.append(SourceFault.of(path, error))
    return found


def _add(
    found: Reports, path: Path, declared: Sequence[ReportDeclaration], tables: Mapping[str, WarehouseTable]
) -> None:
    for report in declared:
        names = [other.name for other in found.reports]
        try:
            found.reports.append(_usable(report, tables, names))
        except ValidationError as error:
            found.faults.append(SourceFault(str(path), f"{path}: {report.name}: {error.errors()[0]['msg']}."))
        except ConfigurationError as error:
            found.faults.append(SourceFault(str(path), f"{path}: {report.name}: {error}"))


def _usable(
    report: ReportDeclaration, tables: Mapping[str, WarehouseTable], names: Collection[str]
) -> ReportDeclaration:
    # guard: reports have different names
    if report.name in names:
        raise ConfigurationError("name: another report has this name.", remedy="Give one of them another.")
    return report.expanded(tables)
