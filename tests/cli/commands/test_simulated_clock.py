"""The clock of `flows dev --simulate`: where it starts, that a restart continues it, and which homes it refuses."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows_platform.cli.commands.serve import simulation_of
from flows_platform.cli.commands.services import api_child
from flows_platform.cli.commands.simulated_clock import check_home, started
from flows_platform.domain.errors import ConfigurationError, InputError
from flows_platform.domain.simulated_clock import LateRows, SimulatedClock, Simulation
from flows_platform.settings import Settings, load_settings

NOW = datetime(2026, 1, 31, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


def home(tmp_path: Path, **values: object) -> Settings:
    return load_settings(home=tmp_path, **values)


def test_without_a_speed_there_is_no_clock(tmp_path: Path) -> None:
    settings = home(tmp_path)
    assert started(settings, NOW) is settings
    assert settings.clock is None
    assert not settings.files.clock.exists()
    assert "--simulate" not in api_child(settings).argv
    assert "FLOWS_SIMULATED_START" not in settings.child_environment()


def test_a_restart_goes_on_and_another_speed_goes_on_from_there(tmp_path: Path) -> None:
    assert started(home(tmp_path, simulated_speed=60), NOW).clock == SimulatedClock(NOW, 60)
    again = started(home(tmp_path, simulated_speed=60), NOW + HOUR)
    assert again.clock == SimulatedClock(NOW, 60)
    slower = started(home(tmp_path, simulated_speed=2), NOW + HOUR).clock
    assert slower is not None
    assert slower.elapsed(NOW + HOUR) == 60 * HOUR
    assert slower.elapsed(NOW + 2 * HOUR) == 62 * HOUR


def test_a_start_that_is_set_counts_and_is_kept(tmp_path: Path) -> None:
    assert started(home(tmp_path, simulated_speed=60, simulated_start=NOW - HOUR), NOW).clock == SimulatedClock(
        NOW - HOUR, 60
    )
    assert started(home(tmp_path, simulated_speed=60), NOW).clock == SimulatedClock(NOW - HOUR, 60)


def test_server_and_dagster_are_told_the_same_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = started(
        home(tmp_path, simulated_speed=7.5, late_share=0.05, late_minutes=90), NOW + timedelta(microseconds=1)
    )
    options = dict(zip(api_child(settings).argv[4::2], api_child(settings).argv[5::2], strict=True))
    served = simulation_of(
        float(options["--simulate"]),
        options["--simulated-start"],
        float(options["--late-share"]),
        int(options["--late-minutes"]),
    )
    assert settings.clock is not None
    assert served == Simulation(settings.clock, LateRows(50, timedelta(minutes=90)))
    for name, value in settings.child_environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings().clock == settings.clock


def test_a_home_with_whole_windows_is_refused(tmp_path: Path) -> None:
    settings = home(tmp_path, simulated_speed=60)
    check_home(settings)
    (settings.files.windows / "flows").mkdir(parents=True)
    (settings.files.windows / "flows" / "2014-01-01-0000.parquet").touch()
    with pytest.raises(ConfigurationError, match=r"without a simulated clock.*FLOWS_HOME"):
        check_home(settings)
    check_home(home(tmp_path))
    started(settings, NOW)  # from here on its windows are a simulated clock's
    check_home(settings)


def test_a_damaged_clock_is_named(tmp_path: Path) -> None:
    settings = home(tmp_path, simulated_speed=60)
    settings.files.clock.write_text("{}")
    with pytest.raises(InputError, match=r"replay\.json does not hold a clock.*Remove it"):
        started(settings, NOW)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((None, "2026-01-31", 0.0, 0), "without --simulate"),
        ((1.0, "yesterday", 0.0, 0), "'yesterday', which is not an instant"),
    ],
)
def test_flags_that_give_no_clock(flags: tuple[float | None, str | None, float, int], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        simulation_of(*flags)


def test_a_start_without_a_zone_is_utc_and_none_is_now() -> None:
    assert simulation_of(2, "2026-01-31T09:00", 0, 0) == Simulation(SimulatedClock(NOW, 2))
    before = datetime.now(UTC)
    begun = simulation_of(2, None, 0, 0)
    assert begun is not None
    assert before <= begun.clock.start <= datetime.now(UTC)
    assert simulation_of(None, None, 0, 0) is None
