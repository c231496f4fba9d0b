"""Windows as Dagster partitions; made here and nowhere else."""

from datetime import UTC, datetime, tzinfo

import dagster as dg

from flows_platform.domain.windows import KEY_FORMAT


def window_partitions(
    cron: str, start: datetime, end: datetime | None, zone: tzinfo = UTC
) -> dg.TimeWindowPartitionsDefinition:
    """One partition per window of `cron` from `start`, up to `end` or for ever; the key is the window's start."""
    return dg.TimeWindowPartitionsDefinition(
        start=start.astimezone(zone),
        end=end.astimezone(zone) if end else None,
        fmt=KEY_FORMAT,
        cron_schedule=cron,
        timezone=str(zone),
    )
