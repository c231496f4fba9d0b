"""The Dagster component `flows_platform.components.WebhookTable`: a table that is filled by a vendor's webhook."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import dagster as dg
from pydantic import BaseModel

from flows_platform.components.build import windowed_table
from flows_platform.components.loader import resolved
from flows_platform.components.webhook_checks import archive_definitions
from flows_platform.components.webhook_declaration import WebhookTableDeclaration
from flows_platform.domain.verification import Verification
from flows_platform.fetch.api import WindowedApi
from flows_platform.orchestration.observed_archive import archive_name
from flows_platform.orchestration.resources import shared_resources
from flows_platform.orchestration.table import WindowedTable
from flows_platform.orchestration.table_definitions import windowed_definitions
from flows_platform.settings import Settings, load_settings
from flows_platform.webhooks.declaration import HOOKS


@dataclass
class WebhookTable(dg.Component):
    """A BigQuery table that is filled by a webhook: its deliveries are archived, and windows are read from the archive.

    The API server receives the webhook. Defines what `WindowedApiTable` does; without columns, nothing.
    """

    declaration: WebhookTableDeclaration

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        return WebhookTableDeclaration

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> "WebhookTable":
        given = WebhookTableDeclaration.model_validate(attributes or {})
        return cls(resolved(given, load_settings(), context.resolution_context))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        settings = load_settings()
        folder = context.path if context.path.is_dir() else context.path.parent
        if not self.declaration.columns:
            return dg.Definitions()
        table = windowed_definitions(webhook_table(self.declaration, settings, folder))
        return dg.Definitions.merge(table, dg.Definitions(resources=shared_resources(settings)))


def webhook_table(declaration: WebhookTableDeclaration, settings: Settings, folder: Path = Path()) -> WindowedTable:
    """The table of a webhook that declares columns, filled from the API server that receives the webhook.

    Raises:
        ConfigurationError: values of the declaration contradict each other; the message names the key.
    """
    table = windowed_table(declaration.table(settings.hooks_base), settings, folder)
    changes = f"{settings.hooks_base}{HOOKS}/{declaration.name}/changes"
    upstream = (archive_name(table.name),)
    beside = partial(archive_definitions, declaration, settings, folder)
    return replace(table, api=_proven(table.api), upstream=upstream, changes=changes, beside=beside)


def _proven(api: Callable[[], WindowedApi]) -> Callable[[], WindowedApi]:
    """The API with the proof that our own records have: a digest of their lines."""
    return lambda: replace(api(), verification=Verification.DIGEST, digests_lines=True)
