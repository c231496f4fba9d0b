"""The windowed half of the source: which API, which table, which partitions."""

from dataclasses import replace

from flows_platform.partitions import window_partitions
from flows_platform.resources import EMULATOR_PROJECT
from flows_platform.settings import Settings
from flows_platform.sources.lanl_flows.assets import GROUP, OWNER
from flows_platform.sources.lanl_flows.schema import FLOWS_TABLE
from flows_platform.windowed.declaration import WindowedTable


def flows_windows(settings: Settings) -> WindowedTable:
    """The declaration that the windowed assets, checks and automation are made from."""
    return WindowedTable(
        staged="flow_windows",
        table=replace(FLOWS_TABLE, epoch=settings.epoch),
        # Dagster does not make the API: by the second edge a backfill of everything waits for the database.
        upstream=("flows_api", "flows_database"),
        group=GROUP,
        owner=OWNER,
        grid=settings.grid,
        partitions=window_partitions(settings),
        folder=settings.files.windows,
        dataset=f"{settings.bigquery_project or EMULATOR_PROJECT}.{settings.bigquery_dataset}",
        windows_per_run=settings.windows_per_run,
    )
