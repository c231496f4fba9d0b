"""Dagster's code location: all sources, merged. Loading it reads settings and YAML; no network, no data, no clock."""

import logging
from collections.abc import Callable
from pathlib import Path

from flows_platform.runtime.imports import collector_paused

with collector_paused():
    import dagster as dg

    from flows_platform.components.catalog import read_catalog
    from flows_platform.components.source_files import shipped_name
    from flows_platform.domain.errors import ConfigurationError
    from flows_platform.orchestration.notifications.sensor import notifications_sensor
    from flows_platform.orchestration.resources import build_resources
    from flows_platform.orchestration.source_faults import SourceFault, fault_assets
    from flows_platform.orchestration.table import WindowedTable
    from flows_platform.orchestration.table_definitions import windowed_definitions
    from flows_platform.settings import Settings, load_settings
    from flows_platform.sources.lanl_flows.definitions import flows_definitions, lanl_files
    from flows_platform.sources.nvd_cves.definitions import NVD_CVES, nvd_definitions

_LOG = logging.getLogger(__name__)


def build_definitions(settings: Settings) -> dg.Definitions:
    """Everything Dagster sees, under these settings. A source that cannot be loaded is an asset that says why."""
    found = read_catalog(settings)
    faults = list(found.faults)
    sources: list[dg.Definitions] = []
    names: dict[dg.AssetKey, Path] = {}
    for table in found.tables:
        try:
            source = _source(table, settings)
            names |= _new_names(source, names, table)
            sources.append(source)
        except Exception as error:  # noqa: BLE001 - a name that Dagster refuses, say: the other sources load
            faults.append(SourceFault.of(_file(table), error))
    for fault in faults:
        _LOG.error("A source is not loaded: %s", fault.message)
    common = dg.Definitions(
        assets=fault_assets(faults),
        resources=build_resources(settings)._asdict(),
        sensors=[notifications_sensor()],
        executor=dg.in_process_executor,  # a process for the step costs 4 CPU-seconds and 97 MB
    )
    return dg.Definitions.merge(common, *sources)


def _new_names(source: dg.Definitions, taken: dict[dg.AssetKey, Path], table: WindowedTable) -> dict[dg.AssetKey, Path]:
    """The assets of a source, with its file.

    Raises:
        ConfigurationError: another source has one of them.
    """
    found: dict[dg.AssetKey, Path] = {}
    for asset in source.assets or ():
        keys = (
            asset.keys
            if isinstance(asset, dg.AssetsDefinition)
            else [asset.key]
            if isinstance(asset, dg.AssetSpec)
            else []
        )
        for key in keys:
            if key in taken:
                raise ConfigurationError(
                    f"{taken[key]} has the asset {key.to_user_string()!r} too, and keeps it.",
                    remedy="Choose another name.",
                )
            found[key] = _file(table)
    return found


def _file(table: WindowedTable) -> Path:
    return table.declared_in or Path(table.table.name)


def _source(table: WindowedTable, settings: Settings) -> dg.Definitions:
    """What Dagster sees of one table, and of what a shipped source has beside it."""
    more = MORE.get(shipped_name(table.declared_in) or "")
    return more(table, settings) if more else windowed_definitions(table)


def _flows(table: WindowedTable, settings: Settings) -> dg.Definitions:
    return dg.Definitions.merge(lanl_files(settings), flows_definitions(table, settings))


# Shipped sources that have more than their YAML gives.
MORE: dict[str, Callable[[WindowedTable, Settings], dg.Definitions]] = {
    "lanl_flows": _flows,
    NVD_CVES: nvd_definitions,
}


with collector_paused():
    defs = build_definitions(load_settings())
