"""Old names of commands, options, settings and keys work, with one line that names the new one."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
import typer

from flows_platform.cli import app, main
from flows_platform.cli.old_names import COMMANDS, OPTIONS, with_new_names
from flows_platform.components.loader import DEFS, load_declaration
from flows_platform.definitions import build_definitions
from flows_platform.orchestration.assets import WindowsConfig, reprocesses
from flows_platform.runtime.old_names import say_renamed
from flows_platform.settings import OLD_NAMES, Settings, load_settings, unknown_variables

START = datetime(2026, 1, 31, 9, tzinfo=UTC)


@pytest.fixture(autouse=True)
def nothing_said_yet() -> Iterator[None]:
    say_renamed.cache_clear()
    yield
    say_renamed.cache_clear()


@pytest.mark.parametrize(
    ("given", "taken", "notices"),
    [
        (["replay", "KEY"], ["reprocess", "KEY"], ["flows replay is now flows reprocess"]),
        (["dev", "--replay", "60"], ["dev", "--simulate", "60"], ["flows dev --replay is now flows dev --simulate"]),
        (["dev", "--replay=60"], ["dev", "--simulate=60"], ["flows dev --replay is now flows dev --simulate"]),
        (
            ["serve", "--replay", "2", "--replay-start", "2026-01-31"],
            ["serve", "--simulate", "2", "--simulated-start", "2026-01-31"],
            [
                "flows serve --replay is now flows serve --simulate",
                "flows serve --replay-start is now flows serve --simulated-start",
            ],
        ),
        (["verify", "--rows"], ["verify", "--rows"], []),
        (["history", "replay"], ["history", "replay"], []),
        ([], [], []),
    ],
)
def test_arguments_by_old_names(
    given: list[str], taken: list[str], notices: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert with_new_names(given) == taken
    assert capsys.readouterr().err.splitlines() == [f"{line}; the old name ends with 0.3" for line in notices]


def test_the_old_command_runs_and_is_not_in_the_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["flows", "replay", "--table", "nowhere", "2014-01-01-00:00"])
    with pytest.raises(SystemExit) as ended:
        main()
    first, failure = capsys.readouterr().err.splitlines()
    assert first == "flows replay is now flows reprocess; the old name ends with 0.3"
    assert "nowhere" in failure
    assert ended.value.code == 2
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert not COMMANDS.keys() & commands.keys()
    assert set(COMMANDS.values()) | OPTIONS.keys() <= commands.keys()
    for name, renamed in OPTIONS.items():
        options = {option for parameter in commands[name].params for option in parameter.opts}
        assert not renamed.keys() & options
        assert set(renamed.values()) <= options


def test_settings_by_old_names(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FLOWS_REPLAY", "60")
    monkeypatch.setenv("FLOWS_REPLAY_START", START.isoformat())
    monkeypatch.setenv("FLOWS_WEBHOOK_URL", "https://hooks.example/canary")
    for _ in range(2):
        settings = load_settings()
    assert (settings.simulated_speed, settings.simulated_start) == (60, START)
    assert settings.notification_url
    assert settings.notification_url.get_secret_value() == "https://hooks.example/canary"
    assert capsys.readouterr().err.splitlines() == [
        "FLOWS_REPLAY is now FLOWS_SIMULATED_SPEED; the old name ends with 0.3",
        "FLOWS_REPLAY_START is now FLOWS_SIMULATED_START; the old name ends with 0.3",
        "FLOWS_WEBHOOK_URL is now FLOWS_NOTIFICATION_URL; the old name ends with 0.3",
    ]
    assert unknown_variables() == []
    child = settings.child_environment()
    assert not OLD_NAMES.keys() & child.keys()
    assert child["FLOWS_SIMULATED_SPEED"] == "60.0"
    assert child["FLOWS_NOTIFICATION_URL"] == "https://hooks.example/canary"


def test_the_new_name_of_a_setting_wins(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FLOWS_REPLAY", "60")
    monkeypatch.setenv("FLOWS_SIMULATED_SPEED", "2")
    assert load_settings().simulated_speed == 2
    assert load_settings().child_environment()["FLOWS_SIMULATED_SPEED"] == "2"
    assert capsys.readouterr().err == ""


def test_the_key_staged_still_names_the_asset_of_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (DEFS / "lanl_flows" / "defs.yaml").read_text()
    old = tmp_path / "defs.yaml"
    old.write_text(text.replace("files_asset: flow_windows", "staged: old_windows"))
    assert load_declaration(old, Settings()).files_asset == "old_windows"
    assert capsys.readouterr().err == "the key staged is now files_asset; the old name ends with 0.3\n"


def test_runs_configured_with_replay_are_reprocessed(capsys: pytest.CaptureFixture[str]) -> None:
    context = dg.build_asset_context()
    assert not reprocesses(context, WindowsConfig())
    assert reprocesses(context, WindowsConfig(reprocess=True))
    assert "old name" not in capsys.readouterr().err
    assert reprocesses(context, WindowsConfig(replay=True))
    assert "replay: true is now reprocess: true; the old name ends with 0.3" in capsys.readouterr().err


def test_jobs_and_sensors_by_their_new_names() -> None:
    repository = build_definitions(Settings()).get_repository_def()
    assert repository.has_job("flows_reprocess_job")
    assert not repository.has_job("flows_replay_job")
    assert repository.has_sensor_def("notifications")
