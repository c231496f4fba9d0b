"""What the instance and the ledger know of a table's windows, kept between ticks so that a tick is cheap.

With 37,600 windows, a tick costs 0.02 CPU-seconds if it reads only what is new, and half a second if it reads all.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

import dagster as dg

from flows_platform.domain.lag import Windows, bits, packed, unpacked
from flows_platform.orchestration.table import WindowedTable
from flows_platform.orchestration.window_history import WindowRuns
from flows_platform.window_files.ledger import ledger_of

WHOLE_EVERY = timedelta(hours=1)  # only reading everything shows that an asset was wiped or events were deleted


@dataclass(frozen=True, slots=True)
class Known:
    """What was read up to the event `event`: windows in the table, and windows that a run was asked to load.

    `newest` is the event of the newest materialisation. `whole` is the time when everything was last read, in ISO 8601.
    `grid` names the grid whose windows these are.
    """

    loaded: str = ""
    attempted: str = ""
    event: int = 0
    newest: int = 0
    whole: str = ""
    grid: str = ""

    @classmethod
    def parse(cls, text: Mapping[str, object] | None) -> "Known":
        return cls(**text) if text else cls()  # type: ignore[arg-type]

    def as_dict(self) -> dict[str, object]:
        return asdict(self)

    def is_usable(self, grid: str, wall: datetime) -> bool:
        """Whether only newer events have to be read."""
        if not self.event or self.grid != grid:
            return False
        # guard: all windows are read once an hour
        return timedelta(0) <= wall - datetime.fromisoformat(self.whole) < WHOLE_EVERY


def known_windows(
    table: WindowedTable, instance: dg.DagsterInstance, wall: datetime, before: Known | None = None
) -> tuple[Windows, Known]:
    """What is known at the wall time `wall`, and what to keep for the next tick. Without `before`, reads everything."""
    grid, name = table.grid, _name(table)
    record = newest_materialization(table, instance)
    newest = record.storage_id if record else 0
    if before is None or not before.is_usable(name, wall) or (unpacked(before.loaded) and not newest):  # wiped
        before = Known(packed(0), packed(0), whole=wall.isoformat(), grid=name)
    # In this order, an event that arrives between two of these reads is seen twice rather than never.
    attempts = _attempts(table, instance, before.event)
    loaded = instance.get_materialized_partitions(table.table_key, after_cursor=before.event)
    event = max([before.event, newest, *(event for _, event in attempts.values())])
    windows = Windows(
        loaded=unpacked(before.loaded) | bits(grid, loaded),
        attempted=unpacked(before.attempted) | bits(grid, attempts),
        busy=WindowRuns(table, instance).on_the_way().windows,
        unconfirmed=bits(grid, ledger_of(table.folder).waiting()),
    )
    loaded_text, attempted_text = packed(windows.loaded), packed(windows.attempted)
    return windows, replace(before, loaded=loaded_text, attempted=attempted_text, event=event, newest=newest)


def _name(table: WindowedTable) -> str:
    return json.dumps([str(value) for value in (table.grid.start, table.grid.length, table.zone)])


def newest_materialization(table: WindowedTable, instance: dg.DagsterInstance) -> dg.EventLogRecord | None:
    """The newest materialisation of the table, of any window; None without one."""
    chosen = dg.AssetRecordsFilter(asset_key=table.table_key)
    return next(iter(instance.fetch_materializations(chosen, limit=1).records), None)


def _attempts(table: WindowedTable, instance: dg.DagsterInstance, after: int) -> Mapping[str, tuple[str, int]]:
    """Windows that a run was asked to load and none has loaded since: their runs, and the events that planned them."""
    storage = instance.event_log_storage
    # The pages colour partitions by the same query.
    return storage.get_latest_asset_partition_materialization_attempts_without_materializations(
        table.table_key, after_storage_id=after or None
    )
