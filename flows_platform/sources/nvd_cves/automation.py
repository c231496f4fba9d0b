"""What starts the load of everything: a person the first time, a weekly schedule after that."""

import dagster as dg

from flows_platform.orchestration.automation.new_windows_sensor import AssetJob
from flows_platform.sources.nvd_cves.assets import FULL_LOAD

SUNDAY_AT_FOUR = "0 4 * * 0"  # UTC: a quiet hour at NVD, by the totals of a day that we have


def full_load_job() -> AssetJob:
    """The SQL tables from all that NVD holds."""
    return dg.define_asset_job(
        f"{FULL_LOAD}_job",
        selection=dg.AssetSelection.assets(FULL_LOAD),
        description="Compare the SQL tables with all that NVD holds, range by range, and load what differs.",
    )


def weekly_reconcile(job: AssetJob) -> dg.ScheduleDefinition:
    """The same once a week, for what windows and their look-back did not see."""
    return dg.ScheduleDefinition(
        name="nvd_weekly_reconcile",
        job=job,
        cron_schedule=SUNDAY_AT_FOUR,
        description="Compares the SQL tables with all that NVD holds, and loads what differs.",
    )
