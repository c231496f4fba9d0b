"""What gives a column its value where the record does not: the window, and the time of its fetch."""

from datetime import datetime
from enum import StrEnum

from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.windows import Window


class Origin(StrEnum):
    """A value that all rows of a window share."""

    WINDOW_START = "window_start"
    WINDOW_END = "window_end"
    FETCHED_AT = "fetched_at"


def window_values(window: Window | None, fetched_at: datetime | None) -> dict[str, object]:
    """The values by origin; None where nothing is known of one."""
    return {
        Origin.WINDOW_START: window and window.start,
        Origin.WINDOW_END: window and window.end,
        Origin.FETCHED_AT: fetched_at,
    }


def require_known(origins: frozenset[str], values: dict[str, object]) -> None:
    """Refuse origins without a value.

    Raises:
        ConfigurationError: there is one.
    """
    if unknown := sorted(origin for origin in origins if values.get(origin) is None):
        raise ConfigurationError(
            f"a column takes its value from {unknown[0]}, which is not known here.", remedy="Fetch a window."
        )
