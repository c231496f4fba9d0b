"""`flows source check`: every fault by file, line and key, and the exit code."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows_platform.cli import app
from tests.components.test_yaml_faults import GOOD

RUNNER = CliRunner()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "good.yml").write_text(GOOD)
    return tmp_path


def check(*paths: Path | str) -> tuple[int, str]:
    done = RUNNER.invoke(app, ["source", "check", *map(str, paths)], catch_exceptions=False)
    return done.exit_code, done.stdout


def test_a_good_folder(folder: Path) -> None:
    assert check(folder) == (0, "1 file, 1 table: no faults.\n")


def test_every_fault_is_named_by_file_line_and_key(folder: Path) -> None:
    wrong = folder / "wrong.yaml"
    wrong.write_text(
        GOOD.replace("name: sightings", "name: others")
        .replace("look_back: 2", "look_bak: 2")
        .replace("written: iso", "written: unix")
    )
    code, said = check(folder)
    assert code == 1
    *faults, last = said.splitlines()
    assert [line.partition(" ")[0] for line in faults] == [f"{wrong}:8:", f"{wrong}:21:"]
    assert "did you mean look_back?" in said
    assert last == "2 files, 1 table can be loaded; 1 cannot."


def test_one_file_by_its_path(folder: Path) -> None:
    (folder / "wrong.yaml").write_text("a: [")
    assert check(folder / "deep" / "good.yml")[0] == 0
    code, said = check(folder / "wrong.yaml")
    assert code == 1
    assert said.startswith(f"{folder}/wrong.yaml:2: this cannot be read as YAML")


def test_a_path_that_names_nothing(folder: Path) -> None:
    code, said = check(folder / "absent")
    assert code == 1
    assert f"'{folder}/absent' is not a folder, a file or a shipped source" in said


def test_what_dagster_refuses_is_a_fault(folder: Path) -> None:
    (folder / "deep" / "good.yml").write_text(GOOD + "  group: not a name\n")
    code, said = check(folder)
    assert code == 1
    assert said.startswith(f"{folder}/deep/good.yml: ")
    assert "not a name" in said


def test_the_projects_own_by_default(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check() == (0, "8 files, 5 tables: no faults.\n")
    monkeypatch.setenv("FLOWS_SOURCES", str(folder))
    assert check() == (0, "1 file, 1 table: no faults.\n")
