"""The tables that YAML files declare: all of them, or one by its name. A bad file is a fault of its own."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from flows_platform.components.build import windowed_table
from flows_platform.components.loader import load_declarations, single
from flows_platform.components.source_files import SHIPPED, SourceFiles, mentioning, source_files
from flows_platform.components.webhook_declaration import WebhookTableDeclaration
from flows_platform.components.webhook_files import Webhooks, load_webhooks
from flows_platform.components.webhook_table import webhook_table
from flows_platform.components.yaml_text import lines_of_name
from flows_platform.declared import did_you_mean
from flows_platform.domain.errors import ConfigurationError
from flows_platform.orchestration.source_faults import SourceFault
from flows_platform.orchestration.table import WindowedTable
from flows_platform.settings import Settings


class Catalog(NamedTuple):
    """The tables that can be used, in the order of their files, and what is wrong with the other files."""

    tables: list[WindowedTable]
    faults: list[SourceFault]


def read_catalog(settings: Settings, found: SourceFiles | None = None) -> Catalog:
    """The tables of all sources, or of the files given. Files with a fault, and tables of one name, are left out."""
    found = found or source_files(settings)
    faults = [*map(_names_nothing, found.missing), *map(_cannot_be_listed, found.unreadable)]
    tables: list[WindowedTable] = []
    webhooks = Webhooks([], [])
    for path in found.files:
        try:
            of_file = _declared(path, settings)
            tables += of_file.tables
            webhooks.add(path, of_file.webhooks)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one file, the others load
            faults.append(SourceFault.of(path, error))
    clashes = list(_clashes(tables))
    twice = {id(table) for clash in clashes for table in clash.tables}
    return Catalog(
        [table for table in tables if id(table) not in twice],
        [*faults, *(clash.fault for clash in clashes), *webhooks.faults],
    )


def _names_nothing(entry: str) -> SourceFault:
    near = did_you_mean(entry, SHIPPED) or "."
    return SourceFault(
        entry,
        f"{entry!r} is not a folder, a file or a shipped source ({', '.join(SHIPPED)}){near} "
        "Correct it in the command, FLOWS_SOURCES or pyproject.toml.",
    )


def _cannot_be_listed(error: OSError) -> SourceFault:
    return SourceFault(
        str(error.filename),
        f"{error.filename}: the folder cannot be listed: {error.strerror}. Correct its permissions.",
    )


class _Clash(NamedTuple):
    """Tables whose assets have one name."""

    name: str
    tables: list[WindowedTable]

    @property
    def fault(self) -> SourceFault:
        files = dict.fromkeys(table.declared_in for table in self.tables if table.declared_in)
        lines = [f"{path}:{line}" for path in files for line in lines_of_name(path, self.name)] or [*map(str, files)]
        return SourceFault(
            str(next(iter(files))),
            f"{lines[0]}: name: {self.name!r} is declared in {' and '.join(lines)}. Give one of them another name.",
        )


def _clashes(tables: list[WindowedTable]) -> Iterator[_Clash]:
    by_name: dict[str, list[WindowedTable]] = {}
    for table in tables:
        for name in dict.fromkeys((table.table.name, table.files_asset)):
            by_name.setdefault(name, []).append(table)
    reported: set[tuple[int, ...]] = set()
    for name, same in by_name.items():
        if len(same) > 1 and (who := tuple(map(id, same))) not in reported:
            reported.add(who)
            yield _Clash(name, same)


def table_at(path: Path, settings: Settings) -> WindowedTable:
    """The one table that the YAML file at `path` declares.

    Raises:
        ConfigurationError: the file cannot be read, a value in it is not allowed, or it declares several tables.
    """
    return single(path, [(table.name, table) for table in tables_at(path, settings)])


def tables_at(path: Path, settings: Settings) -> list[WindowedTable]:
    """The tables that the YAML file at `path` declares, one for each of its documents; also those of webhooks.

    Raises:
        ConfigurationError: the file cannot be read, or a value in it is not allowed.
    """
    return _declared(path, settings).tables


class _Declared(NamedTuple):
    """What a file declares: its tables, also those of webhooks, and its webhooks."""

    tables: list[WindowedTable]
    webhooks: list[WebhookTableDeclaration]


def _declared(path: Path, settings: Settings) -> _Declared:
    folder, webhooks = path.parent, load_webhooks(path, settings)
    of_apis = [windowed_table(declaration, settings, folder) for declaration in load_declarations(path, settings)]
    of_webhooks = [webhook_table(webhook, settings, folder) for webhook in webhooks if webhook.columns]
    return _Declared([replace(table, declared_in=path) for table in (*of_apis, *of_webhooks)], webhooks)


def table_named(name: str | None, settings: Settings) -> WindowedTable:
    """The table of that name; without a name the flows, or the only one there is.

    Raises:
        ConfigurationError: there is no such table, or several to choose from.
    """
    files = source_files(settings)
    if name and name in (some := _by_name(read_catalog(settings, mentioning(files, [name])))):
        return some[name]
    found = read_catalog(settings, files)
    tables = _by_name(found)
    chosen = name or (FLOWS if FLOWS in tables else next(iter(tables)) if len(tables) == 1 else None)
    if chosen in tables:
        return tables[chosen]
    why = (
        f"there is no table {chosen!r}{did_you_mean(chosen, tables) or '.'}"
        if chosen
        else "a table must be named with --table."
    )
    remedy = f"The declared tables are {', '.join(tables)}." if tables else "No table is declared; see FLOWS_SOURCES."
    raise ConfigurationError(" ".join([why, *(fault.message for fault in found.faults)]), remedy=remedy)


def _by_name(found: Catalog) -> dict[str, WindowedTable]:
    return {table.table.name: table for table in found.tables}


FLOWS = "flows"  # what commands mean when no table is named
