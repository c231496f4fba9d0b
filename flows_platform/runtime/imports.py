"""Makes processes start sooner: imports without garbage collection or pandas. Names the extra of a missing package."""

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
    """Pause the garbage collector for a block of imports; it never looks at the objects made there.

    Imports make some hundred thousand objects that stay. Looking for garbage among them, about a hundred times and once
    more when the process ends, takes a third of the CPU time of loading the definitions.
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
    """Reports pandas as not installed, to the thread that made this object."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name == "pandas" and threading.get_ident() == self._thread:
            raise ModuleNotFoundError("pandas is not imported where it is optional.", name=name)
        return None


@contextmanager
def pandas_refused() -> Iterator[None]:
    """Keep pandas out of a block of imports by libraries that can do without it.

    It comes with dagster-gcp, takes .4 CPU-seconds and 50 MB, and nothing here uses it. Imports before or outside the
    block get it.
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
