"""The clock of `flows dev --simulate`, kept in the home folder: after a restart it continues as if never stopped."""

import json
from datetime import datetime
from pathlib import Path

from flows_platform.domain.errors import ConfigurationError, InputError
from flows_platform.domain.simulated_clock import SimulatedClock
from flows_platform.runtime.atomic_files import atomic_path
from flows_platform.settings import Settings
from flows_platform.sources.lanl_flows.schema import FLOWS


def check_home(settings: Settings) -> None:
    """Check that the home may start or continue a simulated clock, if one is set.

    Raises:
        ConfigurationError: windows were loaded here without a simulated clock, which would take rows from them again.
    """
    folder = settings.files.windows / FLOWS.name
    # guard: homes of whole windows
    if settings.simulated_speed and not settings.files.clock.exists() and any(folder.glob("*.parquet")):
        raise ConfigurationError(
            f"{folder} holds windows that were loaded without a simulated clock.",
            remedy="Set FLOWS_HOME to another folder, and FLOWS_BIGQUERY_DATASET with real BigQuery.",
        )


def started(settings: Settings, wall: datetime) -> Settings:
    """The settings with a running clock, if a speed is set: the kept one at their speed, or one from `wall` on.

    Raises:
        InputError: the kept clock cannot be read.
        StorageError: it cannot be kept.
    """
    if settings.simulated_speed is None:
        return settings
    kept = _read(settings.files.clock)
    # guard: the kept clock
    clock = settings.clock or (kept or SimulatedClock(wall, settings.simulated_speed)).at_speed(
        settings.simulated_speed, wall
    )
    with atomic_path(settings.files.clock) as draft:
        draft.write_text(json.dumps({"start": clock.start.isoformat(), "speed": clock.speed}))
    return settings.model_copy(update={"simulated_start": clock.start})


def _read(file: Path) -> SimulatedClock | None:
    try:
        kept = json.loads(file.read_text())
        return SimulatedClock(datetime.fromisoformat(kept["start"]), float(kept["speed"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{file} does not hold a clock ({error}).", remedy="Remove it: the clock then starts at second 0."
        ) from error
