"""`FLOWS_SOURCES`: which files are sources, under any name; a bad one is a fault of its own."""

import os
from pathlib import Path

import dagster as dg
import pytest

from flows_platform.cli.commands.verify import run_history
from flows_platform.components.catalog import read_catalog, table_at, table_named
from flows_platform.components.loader import FILE
from flows_platform.components.source_files import SHIPPED, asks_for, source_files
from flows_platform.definitions import build_definitions
from flows_platform.domain.errors import ConfigurationError
from flows_platform.settings import Settings, load_settings
from tests.components.test_yaml_faults import GOOD


def named(name: str, *, line: str = "") -> str:
    return GOOD.replace("name: sightings", f"name: {name}") + line


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Three good tables in two files of any name, and one bad file."""
    folder = tmp_path / "mine"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "any name.yml").write_text(f"{named('first')}---\n{named('second')}")
    (folder / "third.yaml").write_text(named("third"))
    (folder / "wrong.yaml").write_text(named("fourth", line="  look_bak: 2\n"))
    (folder / "notes.txt").write_text("not a source")
    (folder / ".venv").mkdir()
    (folder / ".venv" / "hidden.yaml").write_text("not: a source")
    return folder


def settings(*sources: Path | str, **values: object) -> Settings:
    return Settings(sources=tuple(map(str, sources)), **values)


def test_the_shipped_ones_are_the_default() -> None:
    names = ["lanl_flows", "nvd_cves", "qualys_detections", "qualys_knowledge_base", "tpch_orders"]
    assert list(SHIPPED) == names
    files = source_files(Settings()).files
    assert [path for path in files if path.name == FILE] == list(SHIPPED.values())
    reports = [path.parent.name for path in files if path.name != FILE]
    assert reports == ["lanl_flows", "nvd_cves", "tpch_orders"]
    assert source_files(Settings(sources=("nvd_cves",))).files == [
        SHIPPED["nvd_cves"],
        SHIPPED["nvd_cves"].with_name("reports.yaml"),
    ]
    assert asks_for(Settings(), "lanl_flows")


def test_files_are_found_under_any_name_and_each_once(project: Path) -> None:
    files = source_files(settings(project, project / "third.yaml", "nvd_cves")).files
    assert [path.name for path in files] == [*("any name.yml", "third.yaml", "wrong.yaml", "defs.yaml", "reports.yaml")]


@pytest.mark.parametrize("separator", [",", ":", " , "])
def test_the_variable_takes_several(project: Path, monkeypatch: pytest.MonkeyPatch, separator: str) -> None:
    monkeypatch.setenv("FLOWS_SOURCES", separator.join([f"{project}/third.yaml", "nvd_cves"]))
    assert [table.table.name for table in read_catalog(load_settings()).tables] == ["third", "nvd_cves"]


def test_the_project_file_names_them_where_the_variable_does_not(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    (project / "pyproject.toml").write_text('[tool.flows_platform]\nsources = ["third.yaml"]\n')
    assert [table.table.name for table in read_catalog(load_settings()).tables] == ["third"]
    monkeypatch.setenv("FLOWS_SOURCES", "nvd_cves")
    assert [table.table.name for table in read_catalog(load_settings()).tables] == ["nvd_cves"]


@pytest.mark.parametrize("wrong", ["[tool.flows_platform]\nsources = 7\n", "[tool", "tool = 7\n"])
def test_a_project_file_that_says_something_else_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text(wrong)
    with pytest.raises(ConfigurationError, match=r"pyproject\.toml"):
        read_catalog(load_settings())


def test_one_bad_file_is_one_fault_and_the_others_load(project: Path) -> None:
    tables, faults = read_catalog(settings(project))
    assert [table.table.name for table in tables] == ["first", "second", "third"]
    (fault,) = faults
    assert fault.file == str(project / "wrong.yaml")
    assert fault.message.startswith(f"{project}/wrong.yaml:22: look_bak is '2': there is no such key")


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"- a list", b"a: [", b"\xff\x00", b"name: caf\xe9"])
def test_what_is_not_a_source_is_a_fault_that_names_the_file(project: Path, content: bytes) -> None:
    (project / "wrong.yaml").write_bytes(content)
    tables, (fault,) = read_catalog(settings(project))
    assert len(tables) == 3
    assert fault.message.startswith(f"{project}/wrong.yaml")


def test_all_documents_of_a_file_are_checked(project: Path) -> None:
    both = f"{named('first', line='  look_bak: 2\n')}---\n{named('second', line='  look_bak: 2\n')}"
    (project / "wrong.yaml").write_text(both)
    (fault,) = read_catalog(settings(project)).faults
    assert [line.split(":")[1] for line in fault.message.splitlines()] == ["22", "45"]


def test_an_entry_that_names_nothing_is_a_fault(project: Path) -> None:
    tables, (fault,) = read_catalog(settings("nvd_cve", project / "third.yaml"))
    assert [table.table.name for table in tables] == ["third"]
    assert "'nvd_cve' is not a folder, a file or a shipped source (lanl_flows, nvd_cves" in fault.message
    assert "Correct it in the command, FLOWS_SOURCES or pyproject.toml." in fault.message


def test_two_tables_of_one_name_are_an_error_that_names_both_files(project: Path) -> None:
    (project / "wrong.yaml").write_text(named("third"))
    tables, (fault,) = read_catalog(settings(project))
    assert [table.table.name for table in tables] == ["first", "second"]
    assert f"'third' is declared in {project}/third.yaml:3 and {project}/wrong.yaml:3" in fault.message


def test_two_assets_of_one_name_are_an_error_too(project: Path) -> None:
    (project / "wrong.yaml").write_text(named("fourth", line="  files_asset: third\n"))
    tables, (fault,) = read_catalog(settings(project))
    assert [table.table.name for table in tables] == ["first", "second"]
    assert f"'third' is declared in {project}/third.yaml:3 and {project}/wrong.yaml:22" in fault.message


def test_dagster_shows_a_fault_as_an_asset_and_the_other_sources(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    definitions = build_definitions(settings(project))
    keys = {key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys()}
    (fault,) = [key for key in keys if key.startswith("source_faults/")]
    assert keys - {fault} == {"first", "first_windows", "second", "second_windows", "third", "third_windows"}
    spec = {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}[fault]
    assert spec.metadata["file"] == str(project / "wrong.yaml")
    assert "look_bak" in (spec.description or "")
    assert "look_bak" in caplog.text


def test_what_dagster_refuses_is_a_fault(project: Path) -> None:
    (project / "wrong.yaml").write_text(named("fourth", line="  owner: no owner\n"))
    graph = build_definitions(settings(project)).resolve_asset_graph()
    keys = {key.to_user_string() for key in graph.get_all_asset_keys()}
    assert "third" in keys
    assert "fourth" not in keys
    assert any(key.startswith("source_faults/") for key in keys)


def test_an_asset_of_a_shipped_source_is_not_taken(project: Path) -> None:
    (project / "wrong.yaml").write_text(named("clean_flows"))
    definitions = build_definitions(settings("lanl_flows", project))
    graph = definitions.resolve_asset_graph()
    specs = {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}
    (fault,) = [spec for name, spec in specs.items() if name.startswith("source_faults/")]
    assert "has the asset 'clean_flows' too" in fault.metadata["fault"]
    assert dg.AssetKey("flows") in graph.get_all_asset_keys()


def test_a_project_without_the_flows_has_no_assets_of_theirs(project: Path) -> None:
    keys = build_definitions(settings(project / "third.yaml")).resolve_asset_graph().get_all_asset_keys()
    assert {key.to_user_string() for key in keys} == {"third", "third_windows"}


def test_a_table_is_found_by_its_name_and_one_alone_without_it(project: Path) -> None:
    assert table_named(None, Settings()).table.name == "flows"
    assert table_named(None, settings(project / "third.yaml")).table.name == "third"
    assert table_named("second", settings(project)).table.name == "second"
    with pytest.raises(ConfigurationError, match="a table must be named with --table"):
        table_named(None, settings(project))
    with pytest.raises(ConfigurationError, match=r"no table 'fourth'.*look_bak"):
        table_named("fourth", settings(project))


def test_one_path_with_several_tables_is_ambiguous(project: Path) -> None:
    with pytest.raises(ConfigurationError, match="declares several tables: first, second"):
        table_at(project / "deep" / "er" / "any name.yml", Settings())


def test_commands_on_windows_know_the_projects_tables(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLOWS_SOURCES", str(project))
    monkeypatch.setenv("FLOWS_HOME", str(project / "home"))
    run_history("second", "2024-03-01-00:00")
    assert capsys.readouterr().out == "2024-03-01-00:00 was never fetched.\n"


def test_links_are_followed_once_and_folders_and_pipes_are_not_files(project: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "LINKED.YAML").write_text(named("linked"))
    (project / "others").symlink_to(other)
    (project / "deep" / "above").symlink_to(project)
    (project / "folder.yaml").mkdir()
    (project / "folder.yaml" / "fifth.yaml").write_text(named("fifth"))
    os.mkfifo(project / "pipe.yaml")
    tables = [table.table.name for table in read_catalog(settings(project)).tables]
    assert sorted(tables) == ["fifth", "first", "linked", "second", "third"]


@pytest.mark.parametrize("target", ["absent.yaml", "wrong.yaml"])
def test_a_link_that_leads_nowhere_is_a_fault(project: Path, target: str) -> None:
    (project / "wrong.yaml").unlink()
    (project / "wrong.yaml").symlink_to(project / target)
    tables, (fault,) = read_catalog(settings(project))
    assert len(tables) == 3
    assert fault.message.startswith(f"{project}/wrong.yaml cannot be read: ")


def test_a_folder_that_cannot_be_listed_is_a_fault(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    faults = read_catalog(settings(project)).faults
    assert f"{project}/deep: the folder cannot be listed: Permission denied. Correct its permissions." in [
        fault.message for fault in faults
    ]
