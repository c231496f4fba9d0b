"""Packages that not everyone needs: what to install where one is missing."""

from collections.abc import Iterator
from contextlib import contextmanager

from flows_platform.domain.errors import ConfigurationError

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
