"""Which YAML files are this project's sources: what `FLOWS_SOURCES` names, found recursively."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from flows_platform.components.loader import DEFS, FILE
from flows_platform.settings import Settings

SUFFIXES = {".yaml", ".yml"}
SHIPPED = {path.parent.name: path for path in sorted(DEFS.glob(f"*/{FILE}"))}


class SourceFiles(NamedTuple):
    """The files, in order and each once, and the entries that name nothing."""

    files: list[Path]
    missing: list[str]


def source_files(settings: Settings) -> SourceFiles:
    """The files of all sources under these settings; without any the shipped ones."""
    entries = settings.source_entries or tuple(SHIPPED)
    found: dict[Path, Path] = {}
    missing = []
    for entry in entries:
        files = files_at(entry)
        if files is None:
            missing.append(entry)
        for file in files or ():
            found.setdefault(file.resolve(), file)
    return SourceFiles(list(found.values()), missing)


def files_at(entry: str) -> list[Path] | None:
    """The files of one entry: a shipped name, a file of any name, or a folder; None where there is nothing."""
    if entry in SHIPPED:
        return [SHIPPED[entry]]
    path = Path(entry)
    if path.is_dir():
        return sorted(_yaml_files(path))
    return [path] if path.is_file() else None


def _yaml_files(folder: Path) -> Iterator[Path]:
    """The YAML files in the folder and below it, except in hidden folders such as `.venv`."""
    for path in folder.rglob("*"):
        hidden = any(name.startswith(".") for name in path.relative_to(folder).parts)
        if path.suffix in SUFFIXES and not hidden and path.is_file():
            yield path


def asks_for(settings: Settings, shipped: str) -> bool:
    """Whether the shipped source of that name is one of the sources."""
    return SHIPPED[shipped] in source_files(settings).files


def shipped_name(path: Path | None) -> str | None:
    """The name of the shipped source that the file declares, if it is one."""
    return path.parent.name if path in SHIPPED.values() and path else None
