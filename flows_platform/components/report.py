"""The reports that YAML files declare. A bad report is a fault of its own; the others are served, also of its file."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from flows_platform.components.catalog import read_catalog
from flows_platform.components.loader import REPORT, fault_in, found_in
from flows_platform.components.source_files import source_files
from flows_platform.declared import Fault, KeyFault
from flows_platform.domain.errors import ConfigurationError, PlatformError, Transient
from flows_platform.domain.schema import WarehouseTable
from flows_platform.orchestration.source_faults import SourceFault
from flows_platform.orchestration.table import WindowedTable
from flows_platform.reports.declaration import ReportDeclaration, names_in
from flows_platform.reports.runner import NoTable
from flows_platform.settings import Settings

# How the columns of a report's statement differ from the declared ones.
type Check = Callable[[ReportDeclaration], list[Fault]]


class Origin(NamedTuple):
    """Where a report is declared: the file, and which of the file's reports it is, from 0 on."""

    path: Path
    number: int

    def fault(self, name: str, error: KeyFault) -> SourceFault:
        """The fault of the report of that name, by file, line and key."""
        return _left_out(self.path, name, fault_in(self.path, REPORT, self.number, error))


def _left_out(path: Path, name: str, message: str) -> SourceFault:
    return SourceFault(str(path), f"{message} The report {name} is left out." if name else message, name)


class Reports(NamedTuple):
    """The reports that can be served, in the order of their files, their origins, and what is wrong with others.

    `tables` are those that reports may read, by their names.
    """

    reports: list[ReportDeclaration]
    faults: list[SourceFault]
    origins: list[Origin]
    tables: Mapping[str, WarehouseTable]


def readable(tables: Iterable[WindowedTable]) -> dict[str, WarehouseTable]:
    """The tables that reports may read, by their names: these, and those that are computed from them."""
    return {table.name: table for one in tables for table in (one.table, *one.table.computed)}


def declared_reports(settings: Settings) -> Reports:
    """The reports of all sources over the tables of all sources; the faults are those of the tables' files too."""
    catalog = read_catalog(settings)
    found = read_reports(settings, readable(catalog.tables))
    return found._replace(faults=[*catalog.faults, *found.faults])


def declared_report(report: ReportDeclaration, settings: Settings) -> ReportDeclaration:
    """A report of a file that is not among the sources, over the tables of all sources: as `declared_reports` has it.

    Raises:
        ConfigurationError: a table or a column is not declared.
    """
    try:
        return _expanded(report, readable(read_catalog(settings).tables))
    except KeyFault as error:
        raise ConfigurationError(
            f"the report {report.name}: {error.message}",
            remedy="FLOWS_SOURCES, or pyproject.toml, must name the files of the tables that reports read.",
        ) from error


def read_reports(settings: Settings, tables: Mapping[str, WarehouseTable]) -> Reports:
    """The reports of all sources over these tables. Of reports with one name or path, only the first is served."""
    found = Reports([], [], [], tables)
    for path in source_files(settings).files:
        try:
            of_file = found_in(path, REPORT)
        except ConfigurationError as error:
            found.faults.append(SourceFault.of(path, error))
            continue
        # guard: a bad report leaves the others of its file
        found.faults.extend(_left_out(path, *faulty) for faulty in of_file.faults)
        for number, report in of_file.declarations:
            _add(found, Origin(path, number), report, tables)
    return found


def _expanded(report: ReportDeclaration, tables: Mapping[str, WarehouseTable]) -> ReportDeclaration:
    """The report with its short form written out.

    Raises:
        KeyFault: a table or a column is not declared, or what the short form is written out to is not a report.
    """
    try:
        return report.expanded(tables)
    except ValidationError as error:
        first = error.errors()[0]
        raise KeyFault(first.get("ctx", {}).get("at") or first["loc"], first["msg"]) from None


def _add(found: Reports, origin: Origin, report: ReportDeclaration, tables: Mapping[str, WarehouseTable]) -> None:
    try:
        _check_alone(report, found.reports)
        usable = _expanded(report, tables)
    except KeyFault as error:
        found.faults.append(origin.fault(report.name, error))
    else:
        found.reports.append(usable)
        found.origins.append(origin)


def _check_alone(report: ReportDeclaration, others: Iterable[ReportDeclaration]) -> None:
    for other in others:
        # guard: reports have different names
        if report.name == other.name:
            raise KeyFault(("name",), "another report has this name; give one of them another")
        taken = set(map(_shape, other.paths))
        for index, path in enumerate(report.paths):
            # guard: reports have different paths
            if _shape(path) in taken:
                raise KeyFault(("paths", index), f"the report {other.name} has this path")


def _shape(path: str) -> str:
    """The path without the names of its parameters: two of one shape take the same requests."""
    for name in names_in(path):
        path = path.replace(f"{{{name}}}", "{}")
    return path


def without_differing(found: Reports, check: Check) -> tuple[Reports, Mapping[str, str]]:
    """The reports without those whose columns are others than declared, and why some could not be checked now.

    Once the warehouse does not answer, it is not asked again.
    """
    checked = Reports([], list(found.faults), [], found.tables)
    unchecked: dict[str, str] = {}
    away = ""
    for report, origin in zip(found.reports, found.origins, strict=True):
        faults: list[Fault] = []
        try:
            faults = [] if away else check(report)
            unchecked |= {report.name: away} if away else {}
        except NoTable as error:
            unchecked[report.name] = error.message
        except Transient as error:
            unchecked[report.name] = away = error.message
        except PlatformError as error:
            faults = [Fault(("sql",), error.message)]
        # guard: a report gives the declared columns
        if faults:
            checked.faults.extend(origin.fault(report.name, KeyFault(fault.at, fault.why)) for fault in faults)
        else:
            checked.reports.append(report)
            checked.origins.append(origin)
    return checked, unchecked
