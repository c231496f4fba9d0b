"""`flows source check`: whether files of sources would load, and every fault that keeps one from it."""

from collections.abc import Sequence

from flows_platform.cli.commands.terminal import say
from flows_platform.components.source_files import source_files
from flows_platform.settings import load_settings
from flows_platform.sources.loading import load_sources


def run_check(paths: Sequence[str]) -> bool:
    """Check the files at `paths`, or the project's, print all faults, and say whether there are none.

    Raises:
        ConfigurationError: the value of a setting is not allowed.
    """
    settings = load_settings(**({"sources": tuple(paths)} if paths else {}))
    found = source_files(settings)
    loaded = load_sources(settings, found)
    for fault in loaded.faults:
        say(fault.message)
    say(f"{_counted(len(found.files), 'file')}, {_counted(len(loaded.tables), 'table')}{_bad(len(loaded.faults))}.")
    return not loaded.faults


def _counted(number: int, of: str) -> str:
    return f"{number} {of}" if number == 1 else f"{number} {of}s"


def _bad(faults: int) -> str:
    return f" can be loaded; {faults} cannot" if faults else ": no faults"
