"""What makes a process start sooner. Nothing of what the process does belongs here."""

import gc
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType

from flows_platform.domain.errors import ConfigurationError


@contextmanager
def collector_paused() -> Iterator[None]:
    """For a block of imports: the collector of cycles is off, and does not look at what was made there later either.

    Imports make some hundred thousand objects that stay. To look for garbage among them, about a hundred times and once
    more when the process ends, is a third of the CPU time that loading the definitions takes.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if running:
            gc.enable()


class _Refusal:
    """Says of pandas, in the thread that made this, that it is not installed."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name == "pandas" and threading.get_ident() == self._thread:
            raise ModuleNotFoundError("pandas is kept out of what can do without it.", name=name)
        return None


@contextmanager
def pandas_refused() -> Iterator[None]:
    """For a block of imports by libraries that can do without pandas: it is not imported.

    It comes with dagster-gcp, takes .4 CPU-seconds and 50 MB, and nothing here uses it. Who imports it outside the
    block, or has before, gets it.
    """
    refusal = _Refusal()
    sys.meta_path.insert(0, refusal)
    try:
        yield
    finally:
        sys.meta_path.remove(refusal)


EMULATOR = "emulator"
POSTGRES = "postgres"
CHARTS = "charts"


@contextmanager
def required(extra: str) -> Iterator[None]:
    """Around an import of a package that comes with `extra`.

    Raises:
        ConfigurationError: the package is not installed; says what installs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"the package {error.name} is not installed.", remedy=f"Run pip install 'flows-platform[{extra}]'."
        ) from error
