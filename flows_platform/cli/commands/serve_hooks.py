"""The webhooks of `flows serve`: those that the project's sources declare."""

from collections.abc import Sequence
from functools import partial

from api_server.hooks.feature import HooksConfig, HooksFeature
from flows_platform.settings import Settings, secret
from flows_platform.stores.opening import open_store
from flows_platform.webhooks.declaration import WebhookDeclaration


def hooks_feature(settings: Settings, webhooks: Sequence[WebhookDeclaration]) -> HooksFeature:
    """What receives these webhooks."""
    return HooksFeature(HooksConfig(webhooks, partial(open_store, settings.archive), settings.journal, secret))
