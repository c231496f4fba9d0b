"""Starts the full load: a person does the first time, a weekly schedule after that."""

import dagster as dg

from flows_platform.orchestration.automation.new_windows_sensor import AssetJob
from flows_platform.sources.nvd_cves.assets import FULL_LOAD

SUNDAY_AT_FOUR = "0 4 * * 0"  # UTC: a quiet hour at NVD, by its totals over one day


def full_load_job() -> AssetJob:
    """Loads the SQL tables from everything that NVD has."""
    return dg.define_asset_job(
        f"{FULL_LOAD}_job",
        selection=dg.AssetSelection.assets(FULL_LOAD),
        description="Compares the SQL tables with everything that NVD has, range by range, and loads what differs.",
    )


def weekly_reconcile(job: AssetJob) -> dg.ScheduleDefinition:
    """Runs the full load once a week, for changes that windows and their look-back missed."""
    return dg.ScheduleDefinition(
        name="nvd_weekly_reconcile",
        job=job,
        cron_schedule=SUNDAY_AT_FOUR,
        description="Compares the SQL tables with everything that NVD has, and loads what differs.",
    )
