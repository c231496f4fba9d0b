"""How far the API is: its newest second and its number of records."""

import json
from datetime import timedelta
from urllib.parse import urljoin

from flows_platform.domain.errors import SourceRefused
from flows_platform.fetch.retry import attempts
from flows_platform.resources import ApiResource
from flows_platform.settings import Settings
from flows_platform.sources.lanl_flows.schema import FLOWS
from flows_platform.windowed.due import Latest

PATH = "/api/v1/flows/latest"
ANSWER_BYTES = 4096


def latest_flows(settings: Settings, api: ApiResource) -> Latest:
    """Ask the API that windows are fetched from.

    Raises:
        SourceRefused: the answer is not `{"time": …, "rows": …}`.
        Transient: it gives none.
    """
    declaration = api.declaration(FLOWS)
    url = urljoin(api.url, PATH)
    headers = {"Accept": "application/json", **declaration.auth.headers()}
    with api.client() as client:
        for attempt in attempts(api.tries):
            with attempt, client.stream(url, headers) as answer:
                body = answer.read(ANSWER_BYTES)
    try:
        told = json.loads(body)
        second, records = told["time"], int(told["rows"])
    except (ValueError, TypeError, KeyError) as error:
        raise SourceRefused(f"{url} answered {body[:80]!r}, not its newest time and number of rows.") from error
    newest = None if second is None else settings.epoch + timedelta(seconds=second)
    return Latest(newest, records)
