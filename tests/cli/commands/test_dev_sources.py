"""What `flows dev` starts, by the sources of the project."""

from pathlib import Path

import pytest

from api_server.reports.pages import paths as pages
from flows_platform.cli.commands import dev
from flows_platform.components.loader import REPORT
from flows_platform.domain.errors import ConfigurationError
from flows_platform.settings import Settings


def settings(tmp_path: Path, *sources: str, **values: object) -> Settings:
    return Settings(home=tmp_path / "home", sources=sources, **values)


def started(values: Settings) -> list[str]:
    return [child.name for child in dev._servers(values)]


def test_the_api_is_started_for_what_it_serves_alone(tmp_path: Path) -> None:
    assert started(settings(tmp_path)) == ["api", "code", "ui", "daemon"]
    assert started(settings(tmp_path, "lanl_flows")) == ["api", "code", "ui", "daemon"]
    assert started(settings(tmp_path, str(tmp_path))) == ["code", "ui", "daemon"]


def test_the_api_is_started_for_reports_too(tmp_path: Path) -> None:
    (tmp_path / "a.report.yaml").write_text(f"type: {REPORT.component}\nattributes: {{name: a}}\n")
    values = settings(tmp_path, str(tmp_path))
    assert started(values) == ["api", "code", "ui", "daemon"]
    child = dev._servers(values)[0]
    assert "--database" not in child.argv
    assert child.env is not None
    assert child.env["FLOWS_SOURCES"] == str(tmp_path)


def test_no_sample_is_built_without_the_flows(tmp_path: Path) -> None:
    values = settings(tmp_path, "nvd_cves")
    dev._prepare(values)
    assert values.files.dagster.is_dir()
    assert not values.files.database.exists()
    assert not values.files.sample.exists()


def test_a_simulated_clock_needs_the_flows(tmp_path: Path) -> None:
    dev._check_clock(settings(tmp_path, simulated_speed=60))
    with pytest.raises(ConfigurationError, match="lanl_flows is not one of the sources"):
        dev._check_clock(settings(tmp_path, "nvd_cves", simulated_speed=60))


def test_the_address_of_reports_is_that_of_their_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dev._say_addresses(settings(tmp_path, "tpch_orders"))
    assert f"Reports       http://127.0.0.1:8040{pages.LIST}\n" in capsys.readouterr().out
    (tmp_path / "empty").mkdir()
    dev._say_addresses(settings(tmp_path, str(tmp_path / "empty")))
    assert "Reports" not in capsys.readouterr().out
