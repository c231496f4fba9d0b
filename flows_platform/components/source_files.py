"""Which YAML files are this project's sources: what `FLOWS_SOURCES` names, found recursively."""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from flows_platform.components.loader import DEFS, FILE
from flows_platform.components.rules import WINDOW_FILES
from flows_platform.components.yaml_text import read_text
from flows_platform.domain.errors import ConfigurationError
from flows_platform.settings import Settings

SUFFIXES = {".yaml", ".yml"}
LIBRARY = DEFS.parent / "library"  # files that a project copies
WEBHOOKS = LIBRARY / "webhooks"
SHIPPED = {path.parent.name: path for path in sorted(DEFS.glob(f"*/{FILE}"))}
REPORTS = "reports.yaml"  # beside the file of a shipped source: the reports over its tables


class SourceFiles(NamedTuple):
    """The files, in order and each once, the entries that name nothing, and what of a folder cannot be listed."""

    files: list[Path]
    missing: list[str]
    unreadable: list[OSError]


def source_files(settings: Settings) -> SourceFiles:
    """The files of all sources under these settings; without any the shipped ones."""
    entries = settings.source_entries or tuple(SHIPPED)
    found: dict[Path, Path] = {}
    listed = SourceFiles([], [], [])
    for entry in entries:
        files = _files_at(entry, listed.unreadable)
        if files is None:
            listed.missing.append(entry)
        for file in files or ():
            found.setdefault(Path(os.path.realpath(file)), file)
    listed.files.extend(found.values())
    return listed


def mentioning(found: SourceFiles, names: Iterable[str]) -> SourceFiles:
    """The files that may declare tables or assets of these names: those whose text has one as a word.

    An asset of window files is by default named after its table. A name may be written in a way that is not found so.
    """
    words = {word for name in names for word in (name, f"{name}{WINDOW_FILES}", name.removesuffix(WINDOW_FILES))}
    pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b", re.ASCII) if words else None
    return SourceFiles([path for path in found.files if pattern and pattern.search(_text(path))], [], [])


def _text(path: Path) -> str:
    """The file's text; empty where it cannot be read as that of a source."""
    with suppress(ConfigurationError):
        return read_text(path)
    return ""


def _files_at(entry: str, unreadable: list[OSError]) -> list[Path] | None:
    """The files of one entry: a shipped name, a file of any name, or a folder; None where there is nothing."""
    if entry in SHIPPED:
        reports = SHIPPED[entry].with_name(REPORTS)
        return [SHIPPED[entry], *([reports] if reports.is_file() else [])]
    path = Path(entry)
    if path.is_dir():
        return sorted(_yaml_files(path, unreadable))
    return [path] if path.is_file() else None


def _yaml_files(folder: Path, unreadable: list[OSError]) -> Iterator[Path]:
    """The YAML files in the folder and below it, except in hidden folders such as `.venv`.

    Links are followed, to every folder once. A link that leads nowhere counts as a file: reading it says so.
    """
    seen = {os.path.realpath(folder)}
    for above, folders, names in os.walk(folder, onerror=unreadable.append, followlinks=True):
        inner = [name for name in sorted(folders) if not name.startswith(".")]
        real = {name: os.path.realpath(Path(above, name)) for name in inner}
        folders[:] = [name for name in inner if real[name] not in seen]
        seen.update(real.values())
        for path in (Path(above, name) for name in names if not name.startswith(".")):
            if path.suffix.lower() in SUFFIXES and (path.is_file() or path.is_symlink()):
                yield path


def asks_for(settings: Settings, shipped: str) -> bool:
    """Whether the shipped source of that name is one of the sources."""
    return SHIPPED[shipped] in source_files(settings).files


def declares(settings: Settings, component: str) -> bool:
    """Whether a file of the sources may declare something of this type: its text has the type's name."""
    return any(component in _text(path) for path in source_files(settings).files)


def shipped_file(webhook: str) -> Path:
    """The library's file of the webhook of that name."""
    return WEBHOOKS / f"{webhook}.yaml"


def shipped_name(path: Path | None) -> str | None:
    """The name of the shipped source that the file declares, if it is one."""
    return path.parent.name if path in SHIPPED.values() and path else None
