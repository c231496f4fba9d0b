"""Counts the records that the source has for a window, without fetching them."""

from dataclasses import replace

from flows_platform.domain.errors import SourceRefused
from flows_platform.domain.windows import Window
from flows_platform.fetch.answer_document import header_count
from flows_platform.fetch.answering import answering
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.backoff import attempts
from flows_platform.fetch.fetch_plan import FetchPlan
from flows_platform.fetch.http.client import HttpClient
from flows_platform.fetch.paging import Offset, PageNumber
from flows_platform.fetch.window_stream import WindowStream
from flows_platform.formats.protocol.names import RECORD_COUNT_HEADER


def count_records(client: HttpClient, api: WindowedApi, window: Window | None, *, tries: int = 5) -> int | None:
    """The source's own count: from HEAD, or from the total beside a page of one record. None if it offers neither.

    None too for a source that is asked once per value: its list may have changed since a window was fetched.

    Raises:
        SourceRefused: the source declares a count, but gives none.
        Transient: the source failed `tries` times.
    """
    # guard: a list of values is not counted
    if api.for_each:
        return None
    unbounded = api.time is not None and api.time.stop is not None  # the source counts later records too
    if unbounded or not (api.head_counts or (api.total and _smallest(api))):
        return None
    deadline, counted = client.deadline(), 0
    for requested in api.ranges(window):
        for attempt in attempts(tries, within=client.limits.total):
            with attempt, api.redactor.errors():
                count = _by_head if api.head_counts else _by_total
                counted += count(FetchPlan(client, api, requested, deadline=deadline))
    return counted


def _by_head(plan: FetchPlan) -> int:
    api = plan.api
    request = replace(api.request(plan.window), method="HEAD")
    with answering(plan.client, api, request, deadline=plan.deadline) as answer:
        count = header_count(answer)
    if count is None:
        raise SourceRefused(f"the source gives no {RECORD_COUNT_HEADER} header to a HEAD request.")
    return count


def _by_total(plan: FetchPlan) -> int:
    """The total that a page of one record declares."""
    first = plan.api.request(plan.window).with_parameters(_smallest(plan.api))
    total = WindowStream(plan).declared_total(first)
    if total is None:
        raise SourceRefused("the source's answer has no total number of records.")
    return total


def _smallest(api: WindowedApi) -> dict[str, str]:
    """The parameter that asks for a page of one record; empty where there is none."""
    size = api.paging.size_parameter if isinstance(api.paging, Offset | PageNumber) else None
    return {size: "1"} if size else {}
