"""The tables that reports may read: those of the sources, and those that are computed from them."""

from collections.abc import Iterable, Mapping, Sequence

from flows_platform.components.source_files import shipped_name
from flows_platform.domain.schema import WarehouseTable
from flows_platform.orchestration.table import WindowedTable
from flows_platform.sources.lanl_flows.schema import TRAFFIC_TABLE

# Tables that shipped sources have beside the one of their YAML.
DERIVED: Mapping[str, Sequence[WarehouseTable]] = {"lanl_flows": (TRAFFIC_TABLE,)}


def report_tables(tables: Iterable[WindowedTable]) -> dict[str, WarehouseTable]:
    """The tables by their names."""
    found: dict[str, WarehouseTable] = {}
    for one in tables:
        derived = DERIVED.get(shipped_name(one.declared_in) or "", ())
        found |= {table.name: table for table in (one.table, *derived)}
    return found
