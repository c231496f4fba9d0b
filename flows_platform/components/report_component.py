"""The Dagster component `flows_platform.components.Report`: turns a report's declaration into an asset with a check."""

from dataclasses import dataclass

import dagster as dg
from pydantic import BaseModel

from flows_platform.components.report import declared_report
from flows_platform.orchestration.report_assets import ReportFiles, report_definitions
from flows_platform.orchestration.resources import shared_resources
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.settings import load_settings


@dataclass
class Report(dg.Component):
    """A typed, read-only query over tables of the warehouse, which the API server serves.

    Defines an asset of its rows for the default values, with a check of its columns.
    """

    declaration: ReportDeclaration

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        return ReportDeclaration

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> "Report":
        del context
        return cls(ReportDeclaration.model_validate(attributes or {}))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        del context
        settings = load_settings()
        report = declared_report(self.declaration, settings)
        files = ReportFiles(settings.versions, settings.files.reports)
        resources = dg.Definitions(resources=shared_resources(settings))
        return dg.Definitions.merge(report_definitions([report], files), resources)
