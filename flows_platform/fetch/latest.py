"""A source's newest instant and its number of records, if it has a document with both."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urljoin

from flows_platform.columns.paths import single
from flows_platform.domain.errors import SourceRefused
from flows_platform.fetch.answering import answering
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.backoff import attempts
from flows_platform.fetch.http.client import HttpClient
from flows_platform.fetch.http.request import Request

ANSWER_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest instant that the source has, None if it is empty, and its number of records."""

    newest: datetime | None
    records: int


def ask_latest(client: HttpClient, api: WindowedApi, *, tries: int = 5) -> Latest | None:
    """Ask the source; None if no such document is declared.

    Raises:
        SourceRefused: the answer is not such a document.
        Transient: there was no answer.
    """
    source = api.newest
    if source is None:
        return None
    url = urljoin(api.url, source.path)
    request = api.with_headers(Request(url, fixed=True), accept="application/json")
    for attempt in attempts(tries):
        with attempt, api.redactor.errors(), answering(client, api, request) as answer:
            body = answer.beginning(ANSWER_BYTES)
    try:
        document = json.loads(body)
        newest = _instant(single(source.time.find(document)), api.schema.epoch)
        return Latest(newest, int(str(single(source.records.find(document)))))
    except (ValueError, TypeError, OverflowError) as error:
        with api.redactor.errors():
            raise SourceRefused(f"{url} answered {body[:80]!r}, not its newest time and number of rows.") from error


def _instant(value: object, epoch: datetime) -> datetime | None:
    """Seconds since the epoch, or ISO 8601."""
    match value:
        case None:
            return None
        case int() if not isinstance(value, bool):
            return epoch + timedelta(seconds=value)
        case str():
            instant = datetime.fromisoformat(value)
            return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    raise ValueError(value)
