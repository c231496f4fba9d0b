"""The source's windowed table, as its YAML declares it."""

from flows_platform.components.build import windowed_table
from flows_platform.components.loader import DEFS, FILE, load_declaration
from flows_platform.orchestration.table import WindowedTable
from flows_platform.settings import Settings


def flows_windows(settings: Settings) -> WindowedTable:
    """The table that the windowed assets, checks and automation are made from."""
    return windowed_table(load_declaration(DEFS / "lanl_flows" / FILE, settings), settings)
