"""What Dagster sees of this source: its files, and its windows with what is computed from them."""

from dataclasses import replace

import dagster as dg

from flows_platform.orchestration.code_references import with_code
from flows_platform.orchestration.table import WindowedTable
from flows_platform.orchestration.table_definitions import windowed_definitions
from flows_platform.settings import Settings
from flows_platform.sources.lanl_flows import assets, automation
from flows_platform.sources.lanl_flows.traffic_assets import hourly_traffic, traffic_check


def lanl_files(settings: Settings) -> dg.Definitions:
    """Raw file, clean file, database, rejected lines, API; a job that makes them, and what starts it."""
    files = automation.files_job()
    makers = (assets.raw_flows, assets.clean_flows, assets.flows_database, assets.rejected_flows)
    return dg.Definitions(
        assets=[*(with_code(make(settings)) for make in makers), assets.flows_api(settings)],
        jobs=[files],
        sensors=[automation.raw_file_sensor(settings, files)],
    )


def flows_definitions(declared: WindowedTable, settings: Settings) -> dg.Definitions:
    """The windows of `declared` by the simulated clock, if one is set, and the hourly traffic computed from them."""
    table = replace(declared, sinks=(hourly_traffic(declared),), clock=settings.clock)
    return dg.Definitions.merge(windowed_definitions(table), dg.Definitions(asset_checks=[traffic_check()]))
