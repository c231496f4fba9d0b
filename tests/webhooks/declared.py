"""Declarations for tests."""

from typing import Any

from flows_platform.webhooks.declaration import WebhookDeclaration

KEY = "a-long-key-of-the-sender"


def declared(name: str = "vendor_alerts", *, archive: str | None = None, **keys: Any) -> WebhookDeclaration:
    """An array of alerts with ids and times in milliseconds, a key in the URL; `keys` replace those of `webhook`."""
    webhook = {
        "verify": {"kind": "url_secret", "secret": {"env": "HOOK_KEY"}},
        "records": "alerts",
        "id": "id",
        "created_at": {"path": "created_at", "written": "milliseconds"},
    } | keys
    given = {name: value for name, value in webhook.items() if value is not None}
    return WebhookDeclaration.model_validate({"name": name, "webhook": given, "archive": archive})
