"""Rules for windows and the partitions of their table: what the cron lays, and what BigQuery takes."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from flows_platform.components.source import TableKeys
from flows_platform.declared import Fault, KeyPath
from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.schema import Granularity
from flows_platform.domain.window_length import longest
from flows_platform.domain.windows import WindowGrid

# BigQuery's limits: partitions that one job changes, and partitions of a table.
OF_A_JOB, OF_A_TABLE = 4_000, 10_000
# The shortest that a partition lasts.
PARTITIONS = {
    Granularity.HOUR: timedelta(hours=1),
    Granularity.DAY: timedelta(days=1),
    Granularity.MONTH: timedelta(days=28),
    Granularity.YEAR: timedelta(days=365),
}


def partition_faults(source: TableKeys) -> Iterator[Fault]:
    """What does not fit together."""
    partitions = source.partitions
    if partitions.templated:
        return
    try:
        grid = partitions.grid
    except ConfigurationError as error:
        yield Fault(("partitions", "start"), str(error))
        return
    try:
        end = partitions.last_instant
    except ConfigurationError as error:
        yield Fault(("partitions", "end"), str(error))
        return
    if end and end <= grid.start:
        yield Fault(("partitions", "end"), "the last window ends before the first starts")
    elif source.columns:
        yield from _beyond_bigquery(source, grid, end)


def _beyond_bigquery(source: TableKeys, grid: WindowGrid, end: datetime | None) -> Iterator[Fault]:
    """More partitions than BigQuery takes; it would refuse them when windows are loaded."""
    destination = source.destination
    granularity = destination.partition_by if destination else Granularity.HOUR
    at: KeyPath = ("destination", "partition_by") if destination else ("destination",)
    remedy = "write `partition_by` with a longer one"
    of_a_window = longest(grid.length) // PARTITIONS[granularity]
    of_all = (end - grid.start) // PARTITIONS[granularity] if end else 0
    # guard: a window has no more partitions than a job may change
    if of_a_window > OF_A_JOB:
        yield Fault(
            at,
            f"a window has {of_a_window:,} partitions of one {granularity}, and BigQuery changes at most {OF_A_JOB:,} "
            f"in one job; {remedy}",
        )
        return
    # guard: a table has no more partitions than BigQuery takes
    if of_all > OF_A_TABLE:
        yield Fault(
            at,
            f"from start to end there are {of_all:,} partitions of one {granularity}, and a table in BigQuery has at "
            f"most {OF_A_TABLE:,}; {remedy}",
        )
