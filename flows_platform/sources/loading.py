"""All sources of a project as Dagster's definitions; what cannot be loaded is a fault of its own."""

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import dagster as dg

from flows_platform.components.catalog import read_catalog
from flows_platform.components.report import read_reports, readable
from flows_platform.components.source_files import SourceFiles, shipped_name
from flows_platform.domain.errors import ConfigurationError
from flows_platform.orchestration.notifications.sensor import notifications_sensor
from flows_platform.orchestration.report_assets import ReportFiles, report_definitions
from flows_platform.orchestration.resources import shared_resources
from flows_platform.orchestration.source_faults import SourceFault, fault_assets
from flows_platform.orchestration.table import WindowedTable
from flows_platform.orchestration.table_definitions import windowed_definitions
from flows_platform.settings import Settings
from flows_platform.sources.lanl_flows.definitions import flows_definitions, lanl_files
from flows_platform.sources.nvd_cves.definitions import NVD_CVES, nvd_definitions
from flows_platform.sources.tpch_orders.definitions import tpch_definitions
from flows_platform.sources.tpch_orders.layout import TPCH_ORDERS

_LOG = logging.getLogger(__name__)


class LoadedSources(NamedTuple):
    """The tables that load, what Dagster sees of each, and the faults of the others."""

    tables: list[WindowedTable]
    definitions: list[dg.Definitions]
    faults: list[SourceFault]


def build_definitions(
    settings: Settings, files: SourceFiles | None = None, *, with_reports: bool = True
) -> dg.Definitions:
    """Everything that Dagster sees of a project, or of these files of it.

    A source or report that cannot be loaded is an asset that says why.
    """
    loaded = load_sources(settings, files)
    if with_reports:
        _add_reports(loaded, settings)
    for fault in loaded.faults:
        _LOG.error("A source is not loaded: %s", fault.message)
    common = dg.Definitions(
        assets=fault_assets(loaded.faults),
        resources=shared_resources(settings),
        sensors=[notifications_sensor()],
        executor=dg.in_process_executor,  # a process for the step costs 4 CPU-seconds and 97 MB
    )
    return dg.Definitions.merge(common, *loaded.definitions)


def _add_reports(loaded: LoadedSources, settings: Settings) -> None:
    """Add the reports over these tables, and the faults of others; a file that cannot be read is a fault already."""
    found = read_reports(settings, readable(loaded.tables))
    loaded.faults.extend(fault for fault in found.faults if fault not in loaded.faults)
    files = ReportFiles(settings.versions, settings.files.reports)
    loaded.definitions.append(report_definitions(found.reports, files))


def load_sources(settings: Settings, files: SourceFiles | None = None) -> LoadedSources:
    """All sources under these settings, or those of the files given."""
    catalog = read_catalog(settings, files)
    loaded = LoadedSources([], [], list(catalog.faults))
    names: dict[dg.AssetKey, Path] = {}
    for table in catalog.tables:
        try:
            source = _source(table, settings)
            names |= _new_names(source, names, table)
        except Exception as error:  # noqa: BLE001 - a name that Dagster refuses, say: the other sources load
            loaded.faults.append(SourceFault.of(_file(table), error))
        else:
            loaded.tables.append(table)
            loaded.definitions.append(source)
    return loaded


def _new_names(source: dg.Definitions, taken: dict[dg.AssetKey, Path], table: WindowedTable) -> dict[dg.AssetKey, Path]:
    """The assets of a source, with its file.

    Raises:
        ConfigurationError: another source has one of them.
    """
    keys = asset_keys(source)
    for key in sorted(keys & taken.keys(), key=dg.AssetKey.to_user_string):
        raise ConfigurationError(
            f"{taken[key]} has the asset {key.to_user_string()!r} too, and keeps it.", remedy="Choose another name."
        )
    return dict.fromkeys(keys, _file(table))


def asset_keys(definitions: dg.Definitions) -> set[dg.AssetKey]:
    """The assets that definitions make."""
    return {key for asset in definitions.assets or () for key in _keys(asset)}


def _keys(asset: object) -> Iterable[dg.AssetKey]:
    match asset:
        case dg.AssetsDefinition():
            return asset.keys
        case dg.AssetSpec():
            return [asset.key]
    return []


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
    TPCH_ORDERS: tpch_definitions,
}
