"""Reads a project's reports in a process of its own: Dagster, which reads the YAML, is then not in the server's memory.

Standard input has the settings, standard output what was found, both as JSON.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flows_platform.domain.errors import PlatformError
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.settings import Settings


@dataclass(frozen=True, slots=True)
class DeclaredReports:
    """The reports of a project that can be served.

    Args:
        reports: In the order of their files, with short forms written out.
        faults: What is wrong with others, by file, line and key.
        unchecked: Reports whose columns the warehouse could not be asked for, with the reason.
    """

    reports: Sequence[ReportDeclaration]
    faults: Sequence[str]
    unchecked: Mapping[str, str]


def declared_reports(settings: Settings) -> DeclaredReports:
    """The reports under these settings; none where they cannot be read at all, and the process has written why."""
    command = [sys.executable, "-m", __name__]
    done = subprocess.run(command, input=settings.for_child(), stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 - our own module
    if done.returncode:
        return DeclaredReports((), ("the reports could not be read; the reason is above.",), {})
    found = json.loads(done.stdout)
    reports = [ReportDeclaration.model_validate(one) for one in found["reports"]]
    return DeclaredReports(reports, found["faults"], found["unchecked"])


def _read(settings: Settings) -> dict[str, object]:
    from flows_platform.components.catalog import read_catalog
    from flows_platform.components.report import read_reports, without_differing
    from flows_platform.sources.report_tables import report_tables

    catalog = read_catalog(settings)
    found = read_reports(settings, report_tables(catalog.tables))
    unchecked: Mapping[str, str] = {}
    if found.reports:
        try:
            from flows_platform.cli.commands.report_engine import report_engine

            engine = report_engine(settings)
        except PlatformError as error:
            unchecked = {report.name: str(error) for report in found.reports}
        else:
            found, unchecked = without_differing(found, engine.column_faults)
    messages = [fault.message for fault in (*catalog.faults, *found.faults)]
    return {
        "reports": [report.model_dump(mode="json", exclude_unset=True) for report in found.reports],
        "faults": list(dict.fromkeys(messages)),
        "unchecked": unchecked,
    }


if __name__ == "__main__":
    given = Settings.model_validate_json(sys.stdin.read())
    sys.stdout.write(json.dumps(_read(given)))
