"""What a server of archived webhooks says of a source: what changed after a number, and what there is."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from flows_platform.domain.changed_windows import Change
from flows_platform.domain.errors import SourceRefused
from flows_platform.fetch.answering import answering
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.backoff import attempts
from flows_platform.fetch.http.client import HttpClient
from flows_platform.fetch.http.request import Request

LARGEST = 1 << 18  # bytes of an answer


class Changes(NamedTuple):
    """Changes after a number: what counts them, the last number, and all changes up to it."""

    journal: str
    number: int
    changes: list[Change]


def ask_changes(client: HttpClient, api: WindowedApi, url: str, after: int, *, tries: int = 5) -> Changes:
    """All changes after that number, by as many requests as the source needs.

    Raises:
        SourceRefused: an answer is not such a document, or the source's journal was replaced meanwhile.
        Transient: there was no answer.
    """
    changes: list[Change] = []
    journal, number, more = "", after, True
    while more:
        document = ask(client, api, url, {"after": str(number)}, tries=tries)
        try:
            changes += [
                Change(datetime.fromisoformat(one["minute"]), int(one["number"]), float(one["seconds"]))
                for one in document["changes"]
            ]
            name, last, more = str(document["journal"]), int(document["number"]), bool(document.get("more"))
        except (KeyError, TypeError, ValueError) as error:
            raise SourceRefused(f"{url} did not answer with its changes.") from error
        if journal not in {"", name} or (more and last <= number):
            raise SourceRefused(f"{url} did not answer with the changes after {number:,}.")
        journal, number = name, last
    return Changes(journal, number, changes)


def ask(
    client: HttpClient, api: WindowedApi, url: str, parameters: Mapping[str, str] | None = None, *, tries: int = 5
) -> dict[str, Any]:
    """The JSON object at the URL.

    Raises:
        SourceRefused: the answer is something else.
        Transient: there was no answer.
    """
    request = api.with_headers(Request(url, tuple((parameters or {}).items()), fixed=True), accept="application/json")
    for attempt in attempts(tries):
        with attempt, api.redactor.errors(), answering(client, api, request) as answer:
            body = answer.beginning(LARGEST)
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise SourceRefused(f"{url} did not answer with a JSON object.")
    return found
