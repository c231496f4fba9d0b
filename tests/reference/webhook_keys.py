"""docs/reference/webhook-keys.md: every key of a webhook's YAML, rendered from the models that read it."""

from collections.abc import Set as AbstractSet

from flows_platform.components.source import Api
from flows_platform.components.webhook_declaration import WebhookTableDeclaration
from flows_platform.components.webhook_list import Reconcile
from flows_platform.declared import Declared
from flows_platform.fetch.alert_detail import Detail
from flows_platform.webhooks.declaration import CreatedAt, DeliveryId, Webhook
from flows_platform.webhooks.signatures import AnyVerification
from tests.reference.source_keys import kinds_of, table

MODELS: dict[str, type[Declared]] = {
    "attributes": WebhookTableDeclaration,
    "webhook": Webhook,
    **kinds_of("webhook.verify", AnyVerification),
    "webhook.delivery": DeliveryId,
    "webhook.created_at": CreatedAt,
    "detail": Detail,
    "reconcile": Reconcile,
}
INTRODUCTION = """\
# Keys of a webhook

A webhook is a YAML file, as [Receive webhooks](../webhooks.md) explains. A key without a default is required. Columns,
partitions, destination, charts, kinds of `auth`, `rate` and secrets are those of [a source](source-keys.md), and so are
the other keys of `reconcile`, which are those of `api`."""


def page() -> str:
    """The page: a table for every model, below its heading."""
    left_out: dict[type[Declared], AbstractSet[str]] = {Reconcile: Api.model_fields.keys() - {"format"}}
    tables = (f"## {title}\n\n{table(model, left_out.get(model, set()))}" for title, model in MODELS.items())
    return "\n\n".join([INTRODUCTION, *tables]) + "\n"
