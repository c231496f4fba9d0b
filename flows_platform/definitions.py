"""The code location: all sources, merged. Loading it reads settings and YAML files; no network, no data, no clock."""

import dagster as dg

from flows_platform.alerts import failure_sensor
from flows_platform.components.catalog import all_tables
from flows_platform.resources import build_resources
from flows_platform.settings import Settings, load_settings
from flows_platform.sources.lanl_flows.definitions import lanl_files
from flows_platform.sources.nvd_cves.definitions import NVD_CVES, nvd_definitions
from flows_platform.windowed.declaration import WindowedTable
from flows_platform.windowed.definitions import windowed_definitions


def build_definitions(settings: Settings) -> dg.Definitions:
    """Everything Dagster sees, under these settings."""
    common = dg.Definitions(
        resources=build_resources(settings)._asdict(),
        sensors=[failure_sensor()],
        executor=dg.in_process_executor,  # a step process of its own costs 4 CPU-seconds and 97 MB
    )
    tables = (_of_table(table, settings) for table in all_tables(settings))
    return dg.Definitions.merge(common, lanl_files(settings), *tables)


def _of_table(table: WindowedTable, settings: Settings) -> dg.Definitions:
    return nvd_definitions(table, settings) if table.table.name == NVD_CVES else windowed_definitions(table)


defs = build_definitions(load_settings())
