"""Dagster's code location: all sources, merged. Loading it reads settings and YAML; no network, no data, no clock."""

import logging

from flows_platform.runtime.imports import collector_paused

with collector_paused():
    import dagster as dg

    from flows_platform.orchestration.notifications.sensor import notifications_sensor
    from flows_platform.orchestration.resources import build_resources
    from flows_platform.orchestration.source_faults import fault_assets
    from flows_platform.settings import Settings, load_settings
    from flows_platform.sources.loading import load_sources

_LOG = logging.getLogger(__name__)


def build_definitions(settings: Settings) -> dg.Definitions:
    """Everything Dagster sees, under these settings. A source that cannot be loaded is an asset that says why."""
    loaded = load_sources(settings)
    for fault in loaded.faults:
        _LOG.error("A source is not loaded: %s", fault.message)
    common = dg.Definitions(
        assets=fault_assets(loaded.faults),
        resources=build_resources(settings)._asdict(),
        sensors=[notifications_sensor()],
        executor=dg.in_process_executor,  # a process for the step costs 4 CPU-seconds and 97 MB
    )
    return dg.Definitions.merge(common, *loaded.definitions)


with collector_paused():
    defs = build_definitions(load_settings())
