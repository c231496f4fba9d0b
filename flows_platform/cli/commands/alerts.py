"""`flows alerts`: what the archive of webhooks holds, and details that are due again."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime

from flows_platform.cli.commands.terminal import progress_bar, say
from flows_platform.components.webhook_files import chosen_webhooks
from flows_platform.components.webhook_journal import journal_of
from flows_platform.domain.errors import ConfigurationError, InputError
from flows_platform.settings import load_settings
from flows_platform.stores.opening import open_store
from flows_platform.webhooks.archive import Archive
from flows_platform.webhooks.archived_records import RecordReader
from flows_platform.webhooks.detail_queue import DetailCounts, DetailQueue, Listed
from flows_platform.webhooks.journal import Journal
from flows_platform.webhooks.receiver import Receiver


def run_list(source: str | None, *, only_dead: bool, limit: int, as_json: bool) -> None:
    """Print the records without their details.

    Raises:
        ConfigurationError: there is no such webhook.
        StorageError: the journal cannot be used.
    """
    settings = load_settings()
    found: list[tuple[str, DetailCounts, list[Listed]]] = []
    for webhook in chosen_webhooks(source, settings):
        if webhook.detail:
            with journal_of(webhook, settings) as journal:
                queue = DetailQueue(journal, webhook.name)
                found.append((webhook.name, queue.counts(), queue.listed(only_dead=only_dead, limit=limit)))
    if as_json:
        members = {
            name: asdict(counts) | {"records": [asdict(one) for one in listed]} for name, counts, listed in found
        }
        say(json.dumps(members))
        return
    for name, counts, listed in found:
        for line in _lines(name, counts, listed):
            say(line)
    if not found:
        say("No webhook has details.")


def run_show(record_id: str, source: str | None) -> bool:
    """Print a record with its detail. Returns whether there is one.

    Raises:
        ConfigurationError: there is no such webhook.
        StorageError: journal or archive cannot be read.
    """
    settings = load_settings()
    store = open_store(settings.archive)
    for webhook in chosen_webhooks(source, settings):
        with journal_of(webhook, settings) as journal:
            archive = Archive(store, webhook.folder)
            reader = RecordReader(webhook.name, archive, journal, has_details=webhook.detail is not None)
            if key := reader.key_of(record_id):
                found = reader.read(key, reader.states([record_id]).get(record_id))
                detail = json.loads(found.detail) if found.detail is not None else None
                members = {"source": webhook.name, "id": record_id, "key": key, "detail_state": found.state}
                members |= {"detail_at": found.detail_at.isoformat() if found.detail_at else None}
                say(json.dumps(members | {"webhook": json.loads(found.webhook), "detail": detail}, ensure_ascii=False))
                return True
    say(f"No webhook has a record {record_id}.")
    return False


def run_replay(source: str | None, ids: list[str] | None) -> None:
    """Make details due again: those of the ids, or all that were given up.

    Raises:
        ConfigurationError: there is no such webhook, or none with details.
        InputError: an id has no record whose detail is missing.
        StorageError: the journal cannot be used.
    """
    settings = load_settings()
    webhooks = [one for one in chosen_webhooks(source, settings) if one.detail]
    if not webhooks:
        raise ConfigurationError("no webhook has details.", remedy="Declare `detail` in its file.")
    count = 0
    for webhook in webhooks:
        with journal_of(webhook, settings) as journal:
            count += DetailQueue(journal, webhook.name).replay(time.time(), ids)
    if ids and count < len(set(ids)):
        raise InputError(
            f"{count} of {len(set(ids))} details are due again: the others are there, or have no record.",
            remedy="`flows alerts show ID` says which.",
        )
    say(f"{count} details are due again. The API server fetches them within half a minute.")


def run_reindex(source: str | None) -> None:
    """Note in the journal what the archive holds.

    Raises:
        ConfigurationError: there is no such webhook.
        StorageError: journal or archive cannot be used, or an object is not what its key says.
    """
    settings = load_settings()
    store = open_store(settings.archive)
    with closing(Journal(settings.journal)) as journal:
        for webhook in chosen_webhooks(source, settings):
            receiver = Receiver(webhook, {}, Archive(store, webhook.folder), journal)
            with progress_bar(f"Reading the archive of {webhook.name}", "objects") as progress:
                count = receiver.reindex(progress)
            say(f"{webhook.name}: {count:,} records")
            if webhook.detail:  # a running server looks for what is due twice a minute
                DetailQueue(journal, webhook.name).adopt(time.time())


def _lines(name: str, counts: DetailCounts, listed: list[Listed]) -> Iterator[str]:
    oldest = f", the oldest since {_time(counts.oldest)}" if counts.oldest is not None else ""
    yield f"{name}: {counts.pending:,} pending{oldest}; {counts.dead:,} given up"
    if counts.stopped:
        yield f"  stopped: {counts.stopped}"
    for one in listed:
        tries = f", {one.tries} tries: {one.why}" if one.tries else ""
        yield f"  {one.id}  {one.state} since {_time(one.since)}{tries}"


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%SZ}"
