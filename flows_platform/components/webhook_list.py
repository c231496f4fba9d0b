"""The keys of a vendor's own list of records, and the list as a table that is filled from an API."""

from datetime import datetime
from typing import Any

from pydantic import Field

from flows_platform.columns.paths import RecordPath
from flows_platform.components.source import Api, Format, Template
from flows_platform.webhooks.declaration import CreatedAt, WebhookDeclaration

RECORD_ID, CREATED_AT, FIELDS = "record_id", "created_at", "fields"


class Reconcile(Api):
    """The vendor's API that lists records by the time of their creation. The keys are those of `api`."""

    format: Format | Template = Field("json", description="auto leaves the choice to the server.")
    id: RecordPath | None = Field(None, description="Path of the id in a listed record; by default as in the webhook.")
    created_at: CreatedAt | None = Field(
        None, description="Where a listed record says when it was created; by default as in the webhook."
    )
    days: int = Field(2, ge=1, le=31, description="Days before today that are compared, once a day.")


def listed_paths(webhook: WebhookDeclaration, declared: Reconcile) -> tuple[RecordPath, RecordPath]:
    """Where a listed record has its id, and the time of its creation."""
    created = declared.created_at or webhook.webhook.created_at
    return declared.id or webhook.webhook.id or RecordPath.parse(RECORD_ID), created.path


def listed_keys(webhook: WebhookDeclaration, declared: Reconcile) -> dict[str, Any]:
    """The vendor's list as a table that is filled from an API."""
    created = declared.created_at or webhook.webhook.created_at
    id_path, created_path = listed_paths(webhook, declared)
    api = {name: getattr(declared, name) for name in Api.model_fields if name in declared.model_fields_set}
    return {
        "name": f"{webhook.name}_listed",
        "api": {"format": declared.format} | api,
        "columns": [
            {"name": RECORD_ID, "path": id_path, "required": True},
            {
                "name": CREATED_AT,
                "type": "timestamp",
                "path": created_path,
                "written": created.written,
                "finer": "truncate",
                "required": True,
            },
            {"name": FIELDS, "type": "json"},
        ],
        "time": CREATED_AT,
        "key": RECORD_ID,
        "extra": FIELDS,
        "partitions": {"cron": "0 0 * * *", "start": datetime(2000, 1, 1)},  # noqa: DTZ001 - local time of the zone
    }
