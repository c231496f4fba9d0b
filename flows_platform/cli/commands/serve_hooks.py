"""The webhooks of `flows serve`: those that the project's sources declare."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from api_server.hooks.feature import HooksConfig, HooksFeature
from flows_platform.settings import Settings, secret
from flows_platform.stores.opening import open_store
from flows_platform.webhooks.declaration import WebhookDeclaration
from flows_platform.webhooks.detail_worker import Vendor


def hooks_feature(
    settings: Settings, webhooks: Sequence[WebhookDeclaration], details: Mapping[str, object]
) -> HooksFeature:
    """What receives these webhooks; `details` are declared requests for details, as JSON, by the webhooks' names."""
    store = partial(open_store, settings.archive)
    vendors = _vendors(settings, details) if details else {}
    return HooksFeature(HooksConfig(webhooks, store, settings.journal, secret, vendors))


def _vendors(settings: Settings, details: Mapping[str, object]) -> dict[str, Callable[[], Vendor]]:
    # Imported here: a server without details needs no HTTP client.
    from flows_platform.fetch.alert_detail import Detail, DetailApi

    return {
        name: partial(DetailApi.of, Detail.model_validate(detail), secret, settings.files.locks, name)
        for name, detail in details.items()
    }
