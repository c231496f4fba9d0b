"""Dagster's code location: all sources, merged. Loading it reads settings and YAML; no network, no data, no clock."""

from collections.abc import Callable

from flows_platform.runtime.imports import collector_paused

with collector_paused():
    import dagster as dg

    from flows_platform.components.catalog import all_tables
    from flows_platform.orchestration.notifications.sensor import notifications_sensor
    from flows_platform.orchestration.resources import build_resources
    from flows_platform.orchestration.table import WindowedTable
    from flows_platform.orchestration.table_definitions import windowed_definitions
    from flows_platform.settings import Settings, load_settings
    from flows_platform.sources.lanl_flows.definitions import flows_definitions, lanl_files
    from flows_platform.sources.lanl_flows.schema import FLOWS
    from flows_platform.sources.nvd_cves.definitions import NVD_CVES, nvd_definitions


def build_definitions(settings: Settings) -> dg.Definitions:
    """Everything that Dagster sees, with these settings."""
    common = dg.Definitions(
        resources=build_resources(settings)._asdict(),
        sensors=[notifications_sensor()],
        executor=dg.in_process_executor,  # a process for the step costs 4 CPU-seconds and 97 MB
    )
    tables = [MORE.get(table.table.name, _by_yaml_alone)(table, settings) for table in all_tables(settings)]
    return dg.Definitions.merge(common, lanl_files(settings), *tables)


def _by_yaml_alone(table: WindowedTable, _: Settings) -> dg.Definitions:
    return windowed_definitions(table)


# Tables that have more assets than their YAML declares.
MORE: dict[str, Callable[[WindowedTable, Settings], dg.Definitions]] = {
    FLOWS.name: flows_definitions,
    NVD_CVES: nvd_definitions,
}


with collector_paused():
    defs = build_definitions(load_settings())
