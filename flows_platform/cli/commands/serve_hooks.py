"""The webhooks of `flows serve`: those that the project's sources declare."""

import logging
from functools import partial

from api_server.hooks.feature import HooksConfig, HooksFeature
from flows_platform.settings import Settings, secret
from flows_platform.stores.opening import open_store

logger = logging.getLogger(__name__)


def hooks_feature(settings: Settings) -> HooksFeature | None:
    """What receives the project's webhooks; None for a project without one.

    A file with a fault is logged, and the webhooks of the others are received.
    """
    if not settings.source_entries:  # the shipped sources have no webhook
        return None
    # Imported here: what reads the YAML of sources takes half a second to import.
    from flows_platform.components.webhook_files import read_webhooks

    found = read_webhooks(settings)
    for fault in found.faults:
        logger.error("a webhook may not be received: %s", fault.message)
    if not found.webhooks:
        return None
    return HooksFeature(HooksConfig(found.webhooks, partial(open_store, settings.archive), settings.journal, secret))
