"""Every file of the library reads its stand-in exactly: every event of a window once, no event of another window."""

import json
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flows_platform.cli.commands.source_add import LIBRARY, library, run_add
from flows_platform.cli.commands.source_check import run_check
from flows_platform.cli.commands.source_try import run_try
from flows_platform.components.catalog import table_at
from flows_platform.domain.errors import ConfigurationError
from flows_platform.settings import Settings
from tests.library.stand_ins import DAY, STAND_INS, TIMES, LibraryServer

KEY = "2024-03-01-00:00"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWS_HOME", str(tmp_path / "home"))


def test_every_file_has_a_stand_in_and_no_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(library()) == sorted(STAND_INS)
    assert run_check([str(LIBRARY)]), capsys.readouterr().out


@pytest.mark.parametrize("name", STAND_INS)
def test_a_window_is_read_exactly(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in = STAND_INS[name]
    for variable in stand_in.variables:
        monkeypatch.setenv(variable, "s3cr3t")
    with LibraryServer(clock=lambda: 0.0) as server:
        server.stand_in = stand_in
        text = library()[name].read_text()
        assert stand_in.origin in text
        Path("source.yaml").write_text(text.replace(stand_in.origin, server.origin))
        code = run_try("source.yaml", KEY, limit=None, out=Path("rows.parquet"), as_json=True)
    said = capsys.readouterr().out
    assert code == 0, said
    assert "s3cr3t" not in said
    assert json.loads(said)["rejected"] == 0
    table = table_at(Path("source.yaml"), Settings())
    rows = pq.read_table("rows.parquet")
    end = table.grid.from_key(KEY).end
    expected = [time.replace(microsecond=0) if stand_in.whole else time for time in TIMES if DAY <= time < end]
    assert sorted(rows.column(table.table.schema.time).to_pylist()) == expected
    assert end - DAY in {timedelta(hours=3), timedelta(days=1)}
    assert len(set(rows.column(table.table.schema.key).to_pylist())) == len(expected)


def test_a_file_is_copied_into_the_project(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine").mkdir()
    monkeypatch.setenv("FLOWS_SOURCES", "mine")
    run_add("okta_system_log", None)
    assert Path("mine/okta_system_log.yaml").read_text() == library()["okta_system_log"].read_text()
    said = capsys.readouterr().out
    assert said.startswith("mine/okta_system_log.yaml\n")
    assert "write your organisation." in said
    assert "Set OKTA_AUTHORIZATION." in said
    with pytest.raises(ConfigurationError, match=r"mine/okta_system_log\.yaml exists"):
        run_add("okta_system_log", None)


def test_the_library_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    run_add(None, None)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(library())
    with pytest.raises(ConfigurationError, match="no 'octa' in the library"):
        run_add("octa", None)
