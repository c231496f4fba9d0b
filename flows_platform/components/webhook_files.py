"""Reads the YAML files of webhooks. An error names the file, the line, the key and what is allowed."""

from pathlib import Path

from flows_platform.components.loader import WEBHOOK, declared_in
from flows_platform.domain.errors import ConfigurationError
from flows_platform.webhooks.declaration import WebhookDeclaration


def load_webhooks(path: Path) -> list[WebhookDeclaration]:
    """The webhooks that a file declares.

    Raises:
        ConfigurationError: the file cannot be read, a value in it is not allowed, or two webhooks clash.
    """
    found = declared_in(path, WEBHOOK)
    for index, webhook in enumerate(found):
        for other in found[:index]:
            if clash := _clash(webhook, other):
                raise ConfigurationError(f"{path}: {other.name} and {webhook.name} {clash}.", remedy="Change one.")
    return found


def _clash(one: WebhookDeclaration, other: WebhookDeclaration) -> str:
    """What two webhooks of one server cannot share; empty if they fit."""
    if one.name == other.name:
        return "have one name"
    if common := set(one.paths) & set(other.paths):
        return f"have one path, {min(common)}"
    # guard: sources do not share a folder
    return f"have one folder in the archive, {one.folder or 'the archive itself'}" if one.folder == other.folder else ""
