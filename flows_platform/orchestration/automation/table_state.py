"""Collects what the instance and the source know of a table's windows, for `domain.wanted_windows`."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

import dagster as dg

from flows_platform.domain.errors import Transient
from flows_platform.domain.wanted_windows import Cursor, TableState, candidates, checked, compared
from flows_platform.domain.windows import Window
from flows_platform.orchestration.automation.requests import A_MINUTE, first_pause
from flows_platform.orchestration.resources import FetchResource
from flows_platform.orchestration.table import WindowedTable
from flows_platform.orchestration.window_history import WindowRuns


def table_state(
    table: WindowedTable,
    instance: dg.DagsterInstance,
    now: datetime,
    cursor: Cursor,
    confirmable: Collection[Window],
) -> TableState:
    """The state for a sensor; `now` is in data time."""
    runs = WindowRuns(table, instance)
    state = TableState(
        calendar=table.calendar,
        look_back=table.look_back,
        cursor=cursor,
        from_start=table.clock is not None,
        snapshot=table.snapshot,
        running=runs.on_the_way(),
        confirmable=confirmable,
        pause=first_pause(table, A_MINUTE),
    )
    state = replace(state, loaded=runs.loaded(checked(state)))
    failures = {window: failed for window in candidates(state, now) if (failed := runs.failures(window))}
    return replace(state, received=received_of(runs, compared(state, now)), failures=failures)


def received_of(runs: WindowRuns, windows: Collection[Window]) -> dict[Window, int]:
    """The number of records in the last fetch of every window that was fetched."""
    found = ((window, runs.received(window)) for window in windows)
    return {window: received for window, received in found if received is not None}


def source_counts(
    table: WindowedTable,
    fetch: FetchResource,
    windows: Collection[Window],
    *,
    tries: int,
    unanswered: Mapping[Window, int] | None = None,
) -> dict[Window, int]:
    """The source's own record counts; a window that it does not count is left out.

    Args:
        table: The table.
        fetch: Limits of the requests.
        windows: The windows to ask for.
        tries: Requests for each window.
        unanswered: Counts to assume if the source does not answer.

    Raises:
        Transient: the source does not answer, and no count may be assumed.
    """
    if not windows:
        return {}
    # Imported here: the reading of records takes half a second to import, too long for loading the definitions.
    from flows_platform.fetch.count import count_records  # noqa: PLC0415

    counts: dict[Window, int | None] = {}
    api = table.api()
    with fetch.client(api, table.gate) as client:
        for window in windows:
            try:
                counts[window] = count_records(client, api, window, tries=tries)
            except Transient:
                if unanswered is None:
                    raise
                counts[window] = unanswered[window]
    return {window: count for window, count in counts.items() if count is not None}
