"""Everything Dagster sees of this source."""

import dagster as dg

from flows_platform.settings import Settings
from flows_platform.sources.lanl_flows import assets, automation
from flows_platform.sources.lanl_flows.windows import flows_windows
from flows_platform.windowed.assets import windowed_assets
from flows_platform.windowed.automation import replay_job, windows_job, windows_schedule, windows_sensor
from flows_platform.windowed.drift import differing_windows_sensor, matches_source_check


def lanl_flows(settings: Settings) -> dg.Definitions:
    """Assets, checks, jobs, schedule and sensors of the LANL flows."""
    declaration = flows_windows(settings)
    when = automation.flows_automation(settings, declaration)
    files, windows = automation.files_job(), windows_job(declaration)
    makers = (assets.raw_flows, assets.clean_flows, assets.flows_database, assets.rejected_flows, assets.flows_api)
    return dg.Definitions(
        assets=[*(make(settings) for make in makers), windowed_assets(declaration)],
        jobs=[files, windows, replay_job(declaration)],
        schedules=[windows_schedule(when, windows)],
        sensors=[
            windows_sensor(when, windows),
            differing_windows_sensor(declaration, windows),
            automation.raw_file_sensor(settings, files),
        ],
        asset_checks=[matches_source_check(declaration)],
    )
