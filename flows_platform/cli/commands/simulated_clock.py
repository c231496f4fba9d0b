"""The clock of `flows dev --replay`, kept in the home folder: a restart goes on as if the source had never stopped."""

import json
from datetime import datetime
from pathlib import Path

from flows_platform.domain.errors import ConfigurationError, InputError
from flows_platform.domain.simulated_clock import ReplayClock
from flows_platform.runtime.atomic_files import atomic_path
from flows_platform.settings import Settings
from flows_platform.sources.lanl_flows.schema import FLOWS


def check_home(settings: Settings) -> None:
    """Whether the home may begin or go on with a replay, if one is wanted.

    Raises:
        ConfigurationError: windows were loaded here without one: it would take rows from them again.
    """
    folder = settings.files.windows / FLOWS.name
    # guard: homes of whole windows
    if settings.replay and not settings.files.replay.exists() and any(folder.glob("*.parquet")):
        raise ConfigurationError(
            f"{folder} holds windows of a data set that was not replayed.",
            remedy="Set FLOWS_HOME to another folder for the replay, and FLOWS_BIGQUERY_DATASET with real BigQuery.",
        )


def started(settings: Settings, wall: datetime) -> Settings:
    """The settings with a running clock, if a replay is wanted: the kept one at their speed, or one from `wall` on.

    Raises:
        InputError: the kept clock cannot be read.
        StorageError: it cannot be kept.
    """
    if settings.replay is None:
        return settings
    kept = _read(settings.files.replay)
    # guard: the kept clock
    clock = settings.clock or (kept or ReplayClock(wall, settings.replay)).at_speed(settings.replay, wall)
    with atomic_path(settings.files.replay) as part:
        part.write_text(json.dumps({"start": clock.start.isoformat(), "speed": clock.speed}))
    return settings.model_copy(update={"replay_start": clock.start})


def _read(file: Path) -> ReplayClock | None:
    try:
        told = json.loads(file.read_text())
        return ReplayClock(datetime.fromisoformat(told["start"]), float(told["speed"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} holds no clock ({error}).", remedy="Remove it: the replay begins anew.") from error
