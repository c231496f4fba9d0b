"""The journal of webhooks on this machine, for those who read it beside the API server."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from flows_platform.domain.errors import ConfigurationError
from flows_platform.settings import Settings
from flows_platform.webhooks.declaration import WebhookDeclaration
from flows_platform.webhooks.journal import Journal
from flows_platform.webhooks.journal_index import JournalIndex


@contextmanager
def journal_of(webhook: WebhookDeclaration, settings: Settings) -> Iterator[Journal]:
    """The journal of the archive on this machine.

    Raises:
        ConfigurationError: there is none, or it has not seen all that the archive's folder holds.
        StorageError: it cannot be used.
    """
    with ExitStack() as opened:
        journal = opened.enter_context(closing(Journal(settings.journal))) if settings.journal.exists() else None
        # guard: a journal that has not seen the archive says nothing of it
        if journal is None or not _has_seen(journal, webhook):
            raise ConfigurationError(
                f"this machine has no journal of {webhook.name} in {settings.archive}.",
                remedy="Do this where the API server receives webhooks, or run `flows alerts reindex` first.",
            )
        yield journal


def _has_seen(journal: Journal, webhook: WebhookDeclaration) -> bool:
    """Whether the journal has seen all of the folder that the webhook has now."""
    archive = JournalIndex(journal, webhook.name).archive()
    return archive is not None and archive[1] == webhook.folder
