"""Windows as Dagster partitions, and the tags that name a run's windows."""

from datetime import UTC, datetime, tzinfo

import dagster as dg

from flows_platform.domain.windows import KEY_FORMAT

# Dagster's tags of a run on one partition, and of a run on a range; it does not export their names.
PARTITION = "dagster/partition"
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"

# The check that says how far a windowed table is behind; notifications read it.
LAG_CHECK = "closed_windows_are_loaded"


def range_tags(first: str, last: str) -> dict[str, str]:
    """The tags of a run on the windows from the key `first` to `last`."""
    return {RANGE_START: first, RANGE_END: last}


def window_partitions(
    cron: str, start: datetime, end: datetime | None, zone: tzinfo = UTC
) -> dg.TimeWindowPartitionsDefinition:
    """One partition per window of `cron` from `start` to `end`, or for ever; the key is the window's start."""
    return dg.TimeWindowPartitionsDefinition(
        start=start.astimezone(zone),
        end=end.astimezone(zone) if end else None,
        fmt=KEY_FORMAT,
        cron_schedule=cron,
        timezone=str(zone),
    )
