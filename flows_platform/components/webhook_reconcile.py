"""Compares a webhook's archive with its vendor's own list, day by day."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.parquet as pq

from flows_platform.columns.mapping import UNTAKEN
from flows_platform.components.build import windowed_table
from flows_platform.components.validation import TableDeclaration
from flows_platform.components.webhook_declaration import WebhookTableDeclaration
from flows_platform.components.webhook_journal import journal_of
from flows_platform.components.webhook_list import CREATED_AT, FIELDS, RECORD_ID, listed_keys, listed_paths
from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.redaction import bare_url
from flows_platform.domain.windows import Window
from flows_platform.orchestration.resources import FetchResource
from flows_platform.orchestration.table import WindowedTable
from flows_platform.pipeline.fetch_window import fetch_window
from flows_platform.settings import Settings
from flows_platform.stores.opening import open_store
from flows_platform.webhooks.archive import Archive
from flows_platform.webhooks.receiver import Receiver
from flows_platform.webhooks.reconcile import Listed, Reconciled, put, reconcile

A_DAY = timedelta(days=1)
ROWS = 1_000  # that are read at once


def reconciled_days(
    webhook: WebhookTableDeclaration, settings: Settings, folder: Path, fetch: FetchResource, now: datetime
) -> dict[str, Reconciled]:
    """Compare the last days with the vendor's list, and archive what is missing. Returns what each day came to.

    Raises:
        ConfigurationError: nothing is compared, a secret is not set, or this machine has no journal.
        PlatformError: the list cannot be fetched, or the archive cannot be used.
    """
    declared = webhook.reconcile
    if declared is None:
        raise ConfigurationError(f"{webhook.name} declares no list.", remedy="Add `reconcile` to its file.")
    table = windowed_table(TableDeclaration.model_validate(listed_keys(webhook, declared)), settings, folder)
    taken = [path.names for path in listed_paths(webhook, declared)]
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    found: dict[str, Reconciled] = {}
    with _receiver(webhook, settings) as receiver:
        for back in range(declared.days, 0, -1):
            day = Window(today - back * A_DAY, today - (back - 1) * A_DAY)
            found[f"{day.start:%Y-%m-%d}"] = _reconciled(table, fetch, receiver, day, now, taken=taken)
    return found


@contextmanager
def _receiver(webhook: WebhookTableDeclaration, settings: Settings) -> Iterator[Receiver]:
    with journal_of(webhook, settings) as journal:
        details = (lambda: None) if webhook.detail else None
        yield Receiver(webhook, {}, Archive(open_store(settings.archive), webhook.folder), journal, details)


def _reconciled(
    table: WindowedTable,
    fetch: FetchResource,
    receiver: Receiver,
    day: Window,
    now: datetime,
    *,
    taken: Sequence[tuple[str, ...]],
) -> Reconciled:
    api = table.api()
    with TemporaryDirectory(prefix="flows-list-") as folder, fetch.client(api, table.gate) as client:
        fetched = fetch_window(
            client,
            api,
            day,
            Path(folder) / "listed.parquet",
            max_rejected=fetch.max_rejected,
            max_rejected_share=fetch.max_rejected_share,
            tries=fetch.tries,
        )
        found = reconcile(receiver, _listed(fetched.file.location, taken), bare_url(fetched.url), now)
        return found.plus(Reconciled(listed=fetched.file.rejected, refused=fetched.file.rejected))


def _listed(path: Path, taken: Sequence[tuple[str, ...]]) -> Iterator[Listed]:
    """The listed records; `taken` are the names that lead to the id and to the time."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=ROWS, columns=[RECORD_ID, CREATED_AT, FIELDS]):
            for row in batch.to_pylist():
                yield listed_row(row[RECORD_ID], row[CREATED_AT], row[FIELDS] or "{}", taken)


def listed_row(record_id: str, created_at: datetime, fields: str, taken: Sequence[tuple[str, ...]]) -> Listed:
    """A listed record of a row, whose `fields` are those that no column takes, by their paths, as JSON."""
    # guard: fields that cannot be read refuse one record
    try:
        found = json.loads(fields, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        return Listed(record_id, created_at, {}, refused=f"the object cannot be read: {error}.")
    record: dict[str, Any] = {}
    for path, value in found.items():
        put(record, _names(path.removeprefix(UNTAKEN), taken), value)
    return Listed(record_id, created_at, record)


def _names(path: str, taken: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The names of a field beside those that are taken. Any other name may itself have dots, or any sign."""
    above = {names[:count] for names in taken for count in range(1, len(names))}
    for names in sorted(above, key=len, reverse=True):
        if path.startswith(start := ".".join(names) + "."):
            return (*names, path.removeprefix(start))
    return (path,)
