"""What Dagster sees of this source beside its windows, which its YAML declares."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import dagster as dg

from flows_platform.orchestration.automation.requests import utc_now
from flows_platform.orchestration.code_references import with_code
from flows_platform.orchestration.table import WindowedTable
from flows_platform.orchestration.table_definitions import windowed_definitions
from flows_platform.settings import Settings
from flows_platform.sources.nvd_cves import automation
from flows_platform.sources.nvd_cves.assets import cve_tables, full_load

NVD_CVES = "nvd_cves"


def nvd_definitions(
    declared: WindowedTable, settings: Settings, now: Callable[[], datetime] = utc_now
) -> dg.Definitions:
    """The windows of `declared` with the SQL tables beside BigQuery's, and the full load with its schedule."""
    job = automation.full_load_job()
    everything = dg.Definitions(
        assets=[with_code(full_load(declared, settings, now))], jobs=[job], schedules=[automation.weekly_reconcile(job)]
    )
    table = replace(declared, sinks=(cve_tables(settings, declared.table.schema),))
    return dg.Definitions.merge(windowed_definitions(table, now), everything)
