"""A run's process builds the source that the run uses, and no other."""

import json
import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._grpc.types import ExecuteExternalJobArgs
from dagster._serdes import serialize_value

from flows_platform.cli.commands.instance import open_instance
from flows_platform.components import catalog
from flows_platform.components.loader import TABLE
from flows_platform.components.source_files import source_files
from flows_platform.orchestration.run_worker import ProcessRun
from flows_platform.settings import Settings, load_settings
from flows_platform.sources.loading import build_definitions
from flows_platform.sources.one_run import FEW, definitions_of_process, definitions_with
from tests.fakes.small_server import SmallServer, document
from tests.fetch.declared_api import RECORDS
from tests.sources import run_child

pytestmark = pytest.mark.slow

NAMES = [f"source_{number}" for number in range(FEW + 1)]
ASSETS = "__ASSET_JOB"
KEY = "2024-03-01-00:00"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of sources, with an API that answers."""
    folder = tmp_path / "sources"
    folder.mkdir()
    with SmallServer(lambda _: document({"data": RECORDS})) as server:
        for name in NAMES:
            attributes = {
                "name": name,
                "api": {
                    "url": server.origin,
                    "format": "json",
                    "records": "data",
                    "time": {"after": "from", "before": "to", "before_inclusive": False},
                },
                "columns": [
                    {"name": "id", "type": "int64", "required": True},
                    {"name": "at", "type": "timestamp", "required": True},
                ],
                "time": "at",
                "key": "id",
                "partitions": {"cron": "0 0 * * *", "start": "2024-03-01T00:00:00"},
            }
            (folder / f"{name}.yaml").write_text(yaml.safe_dump({"type": TABLE.component, "attributes": attributes}))
        home = tmp_path / "home"
        monkeypatch.setenv("FLOWS_HOME", str(home))
        monkeypatch.setenv("DAGSTER_HOME", str(home / "dagster"))
        monkeypatch.setenv("FLOWS_SOURCES", str(folder))
        yield folder


def created(instance: dg.DagsterInstance, job: str, *assets: str) -> dg.DagsterRun:
    """A run of the first window of these assets."""
    repository = build_definitions(load_settings()).get_repository_def()
    selection = frozenset(dg.AssetKey(asset) for asset in assets)
    return instance.create_run_for_job(
        repository.get_job(job).get_subset(asset_selection=selection),
        asset_selection=selection,
        tags={"dagster/partition": KEY},
    )


def parsed_by(instance: dg.DagsterInstance, run: dg.DagsterRun, log: Path) -> list[str]:
    """The files that the run's process parsed; the run succeeded."""
    repository = ReconstructableRepository.for_module("flows_platform.definitions", "defs")
    origin = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("location"), "__repository__")
    arguments = ExecuteExternalJobArgs(
        job_origin=RemoteJobOrigin(origin, run.job_name), run_id=run.run_id, instance_ref=instance.get_ref()
    )
    job = repository.get_reconstructable_job(run.job_name)
    spawn = multiprocessing.get_context("spawn")
    events, termination = spawn.Queue(), spawn.Event()  # they must live until the process has them
    passed = (str(log), serialize_value(arguments), job, events, termination)
    process = spawn.Process(target=run_child.execute, args=passed)
    process.start()
    process.join()
    ended = instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status is dg.DagsterRunStatus.SUCCESS
    return sorted(log.read_text().split())


def test_a_run_parses_the_file_of_its_own_source(tmp_path: Path) -> None:
    with open_instance(load_settings()) as instance:
        run = created(instance, ASSETS, "source_3_windows")
        assert parsed_by(instance, run, tmp_path / "parsed") == ["source_3.yaml"]


def parsed_here(monkeypatch: pytest.MonkeyPatch, job: str, *assets: str) -> list[str]:
    """The files that are parsed for the definitions of a process for a run of these assets."""
    parse, parsed = catalog._declared, list[str]()

    def noted(path: Path, settings: Settings) -> Any:
        parsed.append(path.name)
        return parse(path, settings)

    with open_instance(load_settings()) as instance:
        run = created(instance, job, *assets)
    argument = {"pipeline_run_id": run.run_id, "pipeline_origin": {"pipeline_name": job}}
    monkeypatch.setattr("sys.argv", ["dagster", "api", "execute_run", json.dumps(argument)])
    monkeypatch.setattr(catalog, "_declared", noted)
    definitions_of_process(load_settings())
    return parsed


def test_a_job_is_that_of_its_table(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parsed_here(monkeypatch, "source_3_windows_job", "source_3_windows") == ["source_3.yaml"]


def test_a_run_of_assets_parses_the_files_of_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parsed_here(monkeypatch, ASSETS, "source_3", "source_4_windows") == ["source_3.yaml", "source_4.yaml"]


def test_a_source_whose_name_is_not_found_is_built_with_all_others(
    monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    file = project / "source_3.yaml"
    file.write_text(file.read_text().replace("name: source_3", r'name: "source\x5f3"'))
    assert len(parsed_here(monkeypatch, ASSETS, "source_3_windows")) == len(NAMES)


def test_a_project_of_few_sources_is_built_at_once(monkeypatch: pytest.MonkeyPatch, project: Path) -> None:
    (project / "source_1.yaml").unlink()
    assert len(parsed_here(monkeypatch, ASSETS, "source_3_windows")) == FEW


def built(job: str | None, *assets: str) -> set[str] | None:
    """The jobs of the definitions for a run of these assets."""
    settings, keys = load_settings(), {dg.AssetKey(asset) for asset in assets}
    definitions = definitions_with(job, keys, settings, source_files(settings))
    return {definition.name for definition in definitions.jobs or ()} if definitions else None


def test_a_run_of_several_sources_has_them_all() -> None:
    assert built(None, "source_1_windows", "source_1", "source_4") == {
        f"source_{number}_{kind}_job" for number in (1, 4) for kind in ("windows", "reprocess")
    }


def test_a_job_or_an_asset_that_is_not_there_is_not_left_out(project: Path) -> None:
    assert built("source_2_reprocess_job") == {"source_2_windows_job", "source_2_reprocess_job"}
    for name in ("source_2", "source_4"):
        (project / f"{name}.yaml").write_text(f"# {name}\n")
    assert built("source_2_reprocess_job") is None
    assert built(None, "source_1", "source_4") is None
    assert built("source_2_other_job") is None
    assert built(None) is None


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ('{"pipeline_run_id": "r", "pipeline_origin": {"pipeline_name": "j"}}', ("r", "j")),
        ('{"pipeline_run_id": "r", "pipeline_origin": {}}', None),
        ('{"pipeline_run_id": "r"}', None),
        ('["pipeline_run_id"]', None),
        ("pipeline_run_id", None),
    ],
)
def test_a_process_knows_its_run_by_its_arguments(
    monkeypatch: pytest.MonkeyPatch, argument: str, expected: tuple[str, str] | None
) -> None:
    assert ProcessRun.of_this_process() is None
    monkeypatch.setattr("sys.argv", ["dagster", "api", "execute_run", argument])
    assert ProcessRun.of_this_process() == expected
