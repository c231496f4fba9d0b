"""The tables that YAML files declare: all of them, or one by its name."""

from dataclasses import replace
from pathlib import Path

from flows_platform.components.build import windowed_table
from flows_platform.components.loader import DEFS, declared_sources, load_declaration
from flows_platform.domain.errors import ConfigurationError
from flows_platform.orchestration.table import WindowedTable
from flows_platform.settings import Settings


def table_at(path: Path, settings: Settings) -> WindowedTable:
    """The table that the YAML file at `path` declares.

    Raises:
        ConfigurationError: the file cannot be read, or a value in it is not allowed.
    """
    return replace(windowed_table(load_declaration(path, settings), settings), declared_in=path)


def all_tables(settings: Settings, folder: Path = DEFS) -> list[WindowedTable]:
    """The tables of all sources, in the order of their files."""
    return [table_at(path, settings) for path in declared_sources(folder)]


def table_named(name: str, settings: Settings, folder: Path = DEFS) -> WindowedTable:
    """The table of that name.

    Raises:
        ConfigurationError: there is no such table.
    """
    tables = {table.table.name: table for table in all_tables(settings, folder)}
    if name not in tables:
        raise ConfigurationError(f"there is no table {name!r}.", remedy=f"The declared tables are {', '.join(tables)}.")
    return tables[name]
