"""How many records the source holds of a window, without fetching them."""

from flows_platform.domain.errors import SourceRefused
from flows_platform.domain.windows import TimeBounds
from flows_platform.fetch.http import HttpClient
from flows_platform.fetch.records import header_count
from flows_platform.fetch.retry import attempts
from flows_platform.fetch.windowed_api import WindowedApi
from flows_platform.wire.formats import RECORD_COUNT_HEADER


def count_records(client: HttpClient, api: WindowedApi, bounds: TimeBounds, *, tries: int = 5) -> int:
    """The source's own count, by HEAD.

    Raises:
        SourceRefused: the source declares none.
        Transient: it failed `tries` times.
    """
    url, deadline = api.request_url(bounds), client.deadline()
    for attempt in attempts(tries, within=client.limits.total):
        with (
            attempt,
            api.redactor.errors(),
            client.stream(url, api.request_headers(), method="HEAD", deadline=deadline) as answer,
        ):
            count = header_count(answer)
            if count is None:
                raise SourceRefused(f"the source gives no {RECORD_COUNT_HEADER} header to a HEAD request.")
            return count
    raise AssertionError("attempts() gives at least one try")  # pragma: no cover
