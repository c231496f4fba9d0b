"""The windows as Dagster partitions; declared here and nowhere else."""

import dagster as dg

from flows_platform.domain.windows import KEY_FORMAT
from flows_platform.settings import Settings

CRON = "0 */3 * * *"  # the grid of `settings.WINDOW`, as Dagster writes it


def window_partitions(settings: Settings) -> dg.TimeWindowPartitionsDefinition:
    """One partition per three-hour window from the epoch, for the data set's days; the key is the window's start."""
    return dg.TimeWindowPartitionsDefinition(
        start=settings.epoch, end=settings.end, fmt=KEY_FORMAT, cron_schedule=CRON, timezone="UTC"
    )
