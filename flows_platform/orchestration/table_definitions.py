"""Everything that Dagster sees of one windowed table."""

from collections.abc import Callable
from datetime import datetime

import dagster as dg

from flows_platform.orchestration.assets import windowed_assets
from flows_platform.orchestration.automation.changed_windows_sensor import changed_windows_sensor
from flows_platform.orchestration.automation.differing_windows import differing_windows_sensor, matches_source_check
from flows_platform.orchestration.automation.new_windows_sensor import reprocess_job, windows_job, windows_sensor
from flows_platform.orchestration.automation.overdue import lag_sensor, overdue_check
from flows_platform.orchestration.automation.requests import utc_now
from flows_platform.orchestration.automation.schedule import windows_schedule
from flows_platform.orchestration.observed_archive import observed_archive
from flows_platform.orchestration.table import WindowedTable


def windowed_definitions(table: WindowedTable, now: Callable[[], datetime] = utc_now) -> dg.Definitions:
    """Assets, checks, jobs, schedule and sensors; `now` is the wall clock."""
    windows = windows_job(table)
    own = dg.Definitions(
        assets=[windowed_assets(table)],
        jobs=[windows, reprocess_job(table)],
        schedules=[windows_schedule(table, windows)],
        sensors=[
            windows_sensor(table, windows, now),
            differing_windows_sensor(table, windows),
            lag_sensor(table, now),
            *([changed_windows_sensor(table, windows)] if table.changes else []),
        ],
        asset_checks=[matches_source_check(table), overdue_check(table, now)],
    )
    archive = [observed_archive(table, now)] if table.changes else []
    return dg.Definitions.merge(own, *archive, *([table.beside()] if table.beside else []))
