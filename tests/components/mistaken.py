"""A good declaration with one mistake in it, and what loading it says."""

from pathlib import Path

import pytest

from flows_platform.components.build import windowed_table
from flows_platform.components.loader import load_declaration
from flows_platform.domain.errors import ConfigurationError
from flows_platform.orchestration.table import WindowedTable
from flows_platform.settings import Settings


def mistaken(good: str, right: str = "", wrong: str = "") -> str:
    """The declaration with `wrong` instead of `right`."""
    assert right in good
    return good.replace(right, wrong, 1)


def loaded(folder: Path, text: str) -> WindowedTable:
    """The table of a declaration, which is written into the folder."""
    path = folder / "defs.yaml"
    path.write_text(text)
    settings = Settings()
    return windowed_table(load_declaration(path, settings), settings)


def fault_of(folder: Path, text: str) -> str:
    """What loading the declaration says, without the file's name at its start."""
    with pytest.raises(ConfigurationError) as caught:
        loaded(folder, text)
    told = str(caught.value)
    assert told.startswith(f"{folder / 'defs.yaml'}")
    return told.removeprefix(f"{folder / 'defs.yaml'}").removeprefix(":")
