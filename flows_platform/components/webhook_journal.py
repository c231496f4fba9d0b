"""The journal of webhooks on this machine, for those who read it beside the API server."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from flows_platform.domain.errors import ConfigurationError
from flows_platform.settings import Settings
from flows_platform.webhooks.journal import Journal


@contextmanager
def journal_of(source: str, settings: Settings) -> Iterator[Journal]:
    """The journal of the archive on this machine.

    Raises:
        ConfigurationError: there is none, or it has not seen all that the archive holds of the source.
        StorageError: it cannot be used.
    """
    with ExitStack() as opened:
        journal = opened.enter_context(closing(Journal(settings.journal))) if settings.journal.exists() else None
        # guard: a journal that has not seen the archive says nothing of it
        if journal is None or not journal.is_indexed(source):
            raise ConfigurationError(
                f"this machine has no journal of {source} in {settings.archive}.",
                remedy="Do this where the API server receives webhooks, or run `flows alerts reindex` first.",
            )
        yield journal
