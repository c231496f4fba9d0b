"""What Dagster sees of this source before its windows; those are its YAML's."""

import dagster as dg

from flows_platform.settings import Settings
from flows_platform.sources.lanl_flows import assets, automation


def lanl_files(settings: Settings) -> dg.Definitions:
    """Raw file, clean file, database, rejected lines, API; a job that makes them, and what starts it."""
    files = automation.files_job()
    makers = (assets.raw_flows, assets.clean_flows, assets.flows_database, assets.rejected_flows, assets.flows_api)
    return dg.Definitions(
        assets=[make(settings) for make in makers],
        jobs=[files],
        sensors=[automation.raw_file_sensor(settings, files)],
    )
