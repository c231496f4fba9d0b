"""Reads the YAML files of webhooks. An error names the file, the line, the key and what is allowed."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from flows_platform.components.loader import WEBHOOK, declared_in, resolved
from flows_platform.components.source_files import source_files
from flows_platform.components.webhook_declaration import WebhookTableDeclaration
from flows_platform.declared import did_you_mean
from flows_platform.domain.errors import ConfigurationError
from flows_platform.orchestration.source_faults import SourceFault
from flows_platform.settings import Settings
from flows_platform.webhooks.declaration import WebhookDeclaration


class Webhooks(NamedTuple):
    """The webhooks that can be received, in the order of their files, and what is wrong with others."""

    webhooks: list[WebhookTableDeclaration]
    faults: list[SourceFault]

    def add(self, path: Path, declared: Sequence[WebhookTableDeclaration]) -> None:
        """Add the webhooks of a file. One that clashes with an earlier one is a fault."""
        for webhook in declared:
            clash = next(filter(None, (clash_of(webhook, other) for other in self.webhooks)), None)
            # guard: webhooks do not clash
            if clash:
                message = f"{path}: {clash}. Change one; the first is received."
                self.faults.append(SourceFault(str(path), message))
            else:
                self.webhooks.append(webhook)


def read_webhooks(settings: Settings) -> Webhooks:
    """The webhooks of all sources under these settings. A bad file is a fault of its own; the others are received."""
    found = Webhooks([], [])
    for path in source_files(settings).files:
        try:
            found.add(path, load_webhooks(path, settings))
        except ConfigurationError as error:
            found.faults.append(SourceFault.of(path, error))
    return found


def chosen_webhooks(name: str | None, settings: Settings) -> list[WebhookTableDeclaration]:
    """The webhook of that name; without a name all.

    Raises:
        ConfigurationError: there is no such webhook; the message has the faults of the project's files.
    """
    found = read_webhooks(settings)
    names = [webhook.name for webhook in found.webhooks]
    if name is None and found.webhooks:
        return found.webhooks
    if name in names:
        return [webhook for webhook in found.webhooks if webhook.name == name]
    why = f"there is no webhook {name!r}{did_you_mean(name, names) or '.'}" if name else "no webhook is declared."
    remedy = f"The declared webhooks are {', '.join(names)}." if names else "Declare one in a file of FLOWS_SOURCES."
    raise ConfigurationError(" ".join([why, *(fault.message for fault in found.faults)]), remedy=remedy)


def webhook_named(name: str, settings: Settings) -> WebhookTableDeclaration:
    """The webhook of that name.

    Raises:
        ConfigurationError: as `chosen_webhooks`.
    """
    return chosen_webhooks(name, settings)[0]


def load_webhooks(path: Path, settings: Settings) -> list[WebhookTableDeclaration]:
    """The webhooks that a file declares.

    Raises:
        ConfigurationError: the file cannot be read, or a value in it is not allowed.
    """
    return declared_in(path, WEBHOOK, lambda declaration: resolved(declaration, settings))


def clash_of(one: WebhookDeclaration, other: WebhookDeclaration) -> str:
    """What two webhooks of one server cannot share; empty if they fit."""
    both = f"{other.name} and {one.name} have one"
    if one.name == other.name:
        return f"{both} name"
    if common := set(one.paths) & set(other.paths):
        return f"{both} path, {min(common)}"
    # guard: sources do not share a folder
    return f"{both} folder in the archive, {one.folder or 'the archive itself'}" if one.folder == other.folder else ""
