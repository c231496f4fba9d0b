"""`flows init`: a project of one's own whose commands know its sources."""

import tomllib
from pathlib import Path

import dagster as dg
import pytest
import yaml

import flows_platform
from flows_platform.cli.commands.init import FILES, run_init
from flows_platform.cli.commands.source_check import run_check
from flows_platform.components.catalog import read_catalog
from flows_platform.domain.errors import ConfigurationError
from flows_platform.settings import load_settings
from tests.components.test_yaml_faults import GOOD


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    run_init(tmp_path / "My Feeds")
    monkeypatch.chdir(tmp_path / "My Feeds")
    return tmp_path / "My Feeds"


def names() -> list[str]:
    return [table.table.name for table in read_catalog(load_settings()).tables]


def test_all_files_are_there_and_can_be_read(project: Path) -> None:
    assert {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()} == set(FILES)
    assert tomllib.loads((project / "pyproject.toml").read_text())["project"]["name"] == "my_feeds"
    location = yaml.safe_load((project / "workspace.yaml").read_text())["load_from"][0]["python_module"]
    assert location == {"module_name": "flows_platform.definitions", "location_name": "my_feeds"}
    assert "{" not in (project / "README.md").read_text().replace("{env: …}", "")


def test_its_sources_are_those_of_its_folder_alone(project: Path) -> None:
    assert names() == []
    assert run_check([])
    (project / "sources" / "deep").mkdir()
    (project / "sources" / "deep" / "mine.yml").write_text(GOOD)
    assert names() == ["sightings"]


@pytest.mark.parametrize("present", ["pyproject.toml", "sources/.gitkeep"])
def test_a_folder_that_has_the_files_is_refused_and_left_as_it_was(tmp_path: Path, present: str) -> None:
    (tmp_path / present).parent.mkdir(exist_ok=True)
    (tmp_path / present).write_text("mine")
    with pytest.raises(ConfigurationError, match=f"has {present} already"):
        run_init(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / present]
    assert (tmp_path / present).read_text() == "mine"


def test_definitions_for_folders_merge_with_a_projects_own(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "source.yaml").write_text(GOOD.replace("name: sightings", f"name: {name}"))

    @dg.asset
    def own() -> None:
        """An asset of the project."""

    both = flows_platform.definitions_for(tmp_path / "first", tmp_path / "second")
    graph = dg.Definitions.merge(dg.Definitions(assets=[own]), both).resolve_asset_graph()
    keys = {key.to_user_string() for key in graph.get_all_asset_keys()}
    assert keys == {"own", "first", "first_windows", "second", "second_windows"}
