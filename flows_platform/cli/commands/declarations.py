"""Reads what a server serves of a project's YAML, in a process of its own: Dagster stays out of the server's memory.

Standard input has the settings, standard output what was found, both as JSON.
"""

import json
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from flows_platform.declared import Declared
from flows_platform.domain.errors import PlatformError, ProcessFailed
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.settings import Settings
from flows_platform.webhooks.declaration import WebhookDeclaration

if TYPE_CHECKING:
    from flows_platform.components.webhook_declaration import WebhookTableDeclaration

NO_REPORTS = "--no-reports"


@dataclass(frozen=True, slots=True)
class Declarations:
    """What of a project can be served.

    Args:
        reports: The reports, in the order of their files, with short forms written out.
        webhooks: The webhooks, without the keys of their tables.
        details: The requests for details that they declare, as JSON, by the webhooks' names.
        faults: What is wrong with others, by file, line and key.
        unchecked: Reports whose columns the warehouse could not be asked for, with the reason.
        tables: The names of the tables that reports may read.
    """

    reports: Sequence[ReportDeclaration]
    webhooks: Sequence[WebhookDeclaration]
    details: Mapping[str, object]
    faults: Sequence[str]
    unchecked: Mapping[str, str]
    tables: Collection[str]


def read_declarations(settings: Settings, *, reports: bool = True) -> Declarations:
    """What the sources under these settings declare; `reports`: whether reports too.

    Raises:
        ProcessFailed: they could not be read at all; the process has written why.
    """
    command = [sys.executable, "-m", __name__, *([] if reports else [NO_REPORTS])]
    done = subprocess.run(command, input=settings.for_child(), stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 - our own module
    if done.returncode:
        raise ProcessFailed("the sources could not be read.", remedy="The reason is above.")
    found = json.loads(done.stdout)
    return Declarations(
        [ReportDeclaration.model_validate(one) for one in found["reports"]],
        [WebhookDeclaration.model_validate(one) for one in found["webhooks"]],
        found["details"],
        found["faults"],
        found["unchecked"],
        found["tables"],
    )


def _found(settings: Settings, *, with_reports: bool) -> dict[str, object]:
    found = _reports(settings) if with_reports else _Found([], [], {}, [])
    webhooks = _webhooks(settings, found.faults)
    keys = set(WebhookDeclaration.model_fields)
    return {
        "reports": [report.model_dump(mode="json", exclude_unset=True) for report in found.reports],
        "webhooks": [_as_json(webhook, keys) for webhook in webhooks],
        "details": {webhook.name: _as_json(webhook.detail) for webhook in webhooks if webhook.detail},
        "faults": list(dict.fromkeys(found.faults)),
        "unchecked": found.unchecked,
        "tables": found.tables,
    }


class _Found(NamedTuple):
    reports: list[ReportDeclaration]
    faults: list[str]
    unchecked: Mapping[str, str]
    tables: list[str]


def _reports(settings: Settings) -> _Found:
    """The reports, the faults of all files, and the reports that could not be checked now."""
    from flows_platform.components.report import declared_reports, without_differing

    found = declared_reports(settings)
    unchecked: Mapping[str, str] = {}
    if found.reports:
        try:
            from flows_platform.cli.commands.report_engine import report_engine

            engine = report_engine(settings)
        except PlatformError as error:
            unchecked = {report.name: str(error) for report in found.reports}
        else:
            found, unchecked = without_differing(found, engine.column_faults)
    faults = [fault.message for fault in found.faults]
    return _Found(found.reports, faults, unchecked, list(found.tables))


def _as_json(declared: Declared, keys: set[str] | None = None) -> dict[str, object]:
    return declared.model_dump(mode="json", include=keys, exclude_unset=True, by_alias=True)


def _webhooks(settings: Settings, faults: list[str]) -> "list[WebhookTableDeclaration]":
    """The webhooks; adds the faults of others."""
    if not settings.source_entries:  # the shipped sources have no webhook
        return []
    from flows_platform.components.webhook_files import read_webhooks

    found = read_webhooks(settings)
    faults.extend(fault.message for fault in found.faults)
    return found.webhooks


if __name__ == "__main__":
    given = Settings.model_validate_json(sys.stdin.read())
    sys.stdout.write(json.dumps(_found(given, with_reports=NO_REPORTS not in sys.argv)))
