"""The Dagster component `flows_platform.components.WindowedApiTable`: turns a declaration into definitions."""

from dataclasses import dataclass

import dagster as dg
from pydantic import BaseModel

from flows_platform.components.build import windowed_table
from flows_platform.components.loader import resolved
from flows_platform.components.scaffold import TableScaffolder
from flows_platform.components.validation import TableDeclaration
from flows_platform.orchestration.resources import shared_resources
from flows_platform.orchestration.table_definitions import windowed_definitions
from flows_platform.settings import load_settings


@dg.scaffold_with(TableScaffolder)
@dataclass
class WindowedApiTable(dg.Component):
    """A BigQuery table that is filled from an HTTP API, one time window after another.

    Defines a partitioned asset of window files and one of the table, with checks, a schedule, sensors and backfills.
    """

    declaration: TableDeclaration

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        return TableDeclaration

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> "WindowedApiTable":
        given = TableDeclaration.model_validate(attributes or {})
        return cls(resolved(given, load_settings(), context.resolution_context))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        settings = load_settings()
        folder = context.path if context.path.is_dir() else context.path.parent
        table = windowed_definitions(windowed_table(self.declaration, settings, folder))
        return dg.Definitions.merge(table, dg.Definitions(resources=shared_resources(settings)))
