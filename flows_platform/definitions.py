"""The code location: all sources, merged. Loading it reads settings and nothing else: no network, no disk, no clock."""

import dagster as dg

from flows_platform.alerts import failure_sensor
from flows_platform.resources import build_resources
from flows_platform.settings import Settings, load_settings
from flows_platform.sources.lanl_flows.definitions import lanl_flows


def build_definitions(settings: Settings) -> dg.Definitions:
    """Everything Dagster sees, under these settings."""
    common = dg.Definitions(
        resources=build_resources(settings)._asdict(),
        sensors=[failure_sensor()],
        executor=dg.in_process_executor,  # a step process of its own costs 4 CPU-seconds and 97 MB
    )
    return dg.Definitions.merge(common, lanl_flows(settings))


defs = build_definitions(load_settings())
