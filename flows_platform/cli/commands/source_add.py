"""`flows source add`: a ready file of the library, copied into the project, where it is the project's own."""

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from flows_platform.cli.commands.source_new import source_folder
from flows_platform.cli.commands.terminal import say
from flows_platform.components.source_files import LIBRARY, WEBHOOKS
from flows_platform.declared import did_you_mean
from flows_platform.domain.errors import ConfigurationError
from flows_platform.settings import load_settings

_VARIABLE = re.compile(r"\{env: (\w+)")
CHANGE = "# change:"


def library() -> dict[str, Path]:
    """The library's files of APIs, by name."""
    return _files(LIBRARY)


def webhooks() -> dict[str, Path]:
    """The library's files of webhooks, by name."""
    return _files(WEBHOOKS)


def _files(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def run_add(name: str | None, out: Path | None) -> None:
    """Copy the file of that name to `out`, or into the project's folder, and say what it needs; list all without one.

    Raises:
        ConfigurationError: there is no such file in the library, or one is at its destination.
    """
    files = library() | webhooks()
    if name is None:
        for known, file in files.items():
            first = next(yaml.safe_load_all(file.read_bytes()))  # others are reports over it
            say(f"{known:24} {first['attributes']['description']}")
        return
    if name not in files:
        raise ConfigurationError(
            f"there is no {name!r} in the library{did_you_mean(name, files) or '.'}",
            remedy=f"It has {', '.join(files)}; `flows source new` drafts others.",
        )
    path = out or source_folder(load_settings()) / f"{name}.yaml"
    if path.exists():
        raise ConfigurationError(f"{path} exists.", remedy="Choose another file with --out.")
    text = files[name].read_text("utf-8")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    say(f"{path}")
    for line in _needed(text):
        say(line)


def _needed(text: str) -> Iterator[str]:
    """What the file's user has to do."""
    for number, line in enumerate(text.splitlines(), start=1):
        if CHANGE in line:
            yield f"Line {number}: write {line.partition(CHANGE)[2].strip()}."
    if variables := ", ".join(dict.fromkeys(_VARIABLE.findall(text))):
        yield f"Set {variables}."
