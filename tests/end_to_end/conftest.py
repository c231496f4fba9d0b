"""The platform as it runs: files on disk, a real API server process, the emulator, a Dagster instance."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import apsw
import dagster as dg
import pytest
from google.cloud import bigquery

from flows_platform.cli.commands.instance import open_instance
from flows_platform.cli.commands.services import api_child
from flows_platform.definitions import build_definitions
from flows_platform.domain.verification import RowDigest
from flows_platform.flow_database.read import iter_rows
from flows_platform.local.emulator import Emulator
from flows_platform.local.ports import free_port
from flows_platform.local.supervisor import Supervisor
from flows_platform.orchestration.assets import CONFIRM
from flows_platform.orchestration.partitions import range_tags
from flows_platform.orchestration.resources import Resources, build_resources
from flows_platform.pipeline.window_pipeline import WindowPipeline
from flows_platform.settings import Settings, load_settings
from flows_platform.sources.lanl_flows.schema import FLOWS
from flows_platform.sources.lanl_flows.windows import flows_windows
from flows_platform.warehouse.warehouse import emulator_client
from tests.jobs import run_here

SAMPLE: dict[str, Any] = {"days": 1, "sample_rows": 4000}


@dataclass(frozen=True)
class Platform:
    """One platform with its own home, dataset and API server."""

    settings: Settings
    definitions: dg.Definitions
    instance: dg.DagsterInstance
    supervisor: Supervisor

    @property
    def keys(self) -> list[str]:
        return list(flows_windows(self.settings).partitions.get_partition_keys())

    @property
    def resources(self) -> Resources:
        return build_resources(self.settings)

    def build_database(self) -> dg.ExecuteInProcessResult:
        return self.run("flows_database_job")

    def change_database(self, *statements: str) -> None:
        """As the source would change: served at once, not yet loaded."""
        with apsw.Connection(str(self.settings.files.database)) as database:
            for sql in statements:
                database.execute(sql)

    def start_api(self) -> None:
        self.supervisor.start(api_child(self.settings))

    def run(self, job: str, tags: dict[str, str] | None = None) -> dg.ExecuteInProcessResult:
        return run_here(self.definitions, self.instance, job, tags)

    def run_windows(
        self, first: str | None = None, last: str | None = None, *, confirm: bool = False
    ) -> dg.ExecuteInProcessResult:
        """Run these windows, or all; `confirm` lets them lose rows."""
        keys, tags = self.keys, {CONFIRM: "true"} if confirm else {}
        return self.run("flows_windows_job", range_tags(first or keys[0], last or first or keys[-1]) | tags)

    def database_digest(self, *, first: int | None = None, last: int | None = None) -> RowDigest:
        """Of the rows of these seconds; of all without."""
        return RowDigest.of(iter_rows(self.settings.files.database, FLOWS, first=first, last=last))

    def table_digest(self, key: str | None = None) -> RowDigest:
        """Of a window's rows; of all without."""
        window = flows_windows(self.settings).grid.from_key(key) if key else None
        with self.windows() as pipeline:
            return pipeline.warehouse.digest(pipeline.table, window)

    def windows(self) -> "Windows":
        return Windows(self)

    def query(self, sql: str) -> list[tuple[object, ...]]:
        client = emulator_client(self.settings.emulator_url, "local", "US", self.settings.emulator_key)
        config = bigquery.QueryJobConfig(default_dataset=f"local.{self.settings.bigquery_dataset}")
        with client:
            return [tuple(row.values()) for row in client.query_and_wait(sql, job_config=config)]

    def metadata(self, asset: str, key: str | None = None) -> dict[str, object]:
        """The figures of an asset's, or a partition's, last materialization."""
        partitions = [key] if key else None
        found = self.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=partitions), limit=1
        )
        materialization = found.records[0].asset_materialization
        assert materialization is not None
        return {name: value.value for name, value in materialization.metadata.items()}

    def run_check(self, asset: str) -> dg.AssetCheckEvaluation:
        """The one check of an asset that is of no window, evaluated now."""
        key = dg.AssetKey(asset)
        specs = [spec for checks in self.definitions.asset_checks or () for spec in checks.check_specs]
        (mine,) = (spec for spec in specs if spec.asset_key == key and spec.partitions_def is None)
        chosen = dg.AssetSelection.checks(mine.key)
        job = dg.Definitions.merge(
            self.definitions, dg.Definitions(jobs=[dg.define_asset_job("check", selection=chosen)])
        ).resolve_job_def("check")
        (evaluation,) = job.execute_in_process(instance=self.instance).get_asset_check_evaluations()
        return evaluation

    def checks(self, run_id: str) -> dict[tuple[str | None, str], bool]:
        """A run's check outcomes by partition and name."""
        entries = self.instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        found = [entry.asset_check_evaluation for entry in entries]
        return {(evaluation.partition, evaluation.check_name): evaluation.passed for evaluation in found if evaluation}


def scheduled_keys(
    definitions: dg.Definitions, name: str, at: datetime, instance: dg.DagsterInstance, resources: Resources
) -> list[str | None]:
    """The partition keys that the schedule `name` asks for with its tick `at`."""
    repository = definitions.get_repository_def()
    with dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=at,
        resources=resources._asdict(),
        repository_def=repository,
    ) as context:
        tick = repository.get_schedule_def(name).evaluate_tick(context)
    return [request.partition_key for request in tick.run_requests or []]


class Windows:
    """The pipeline of a platform's windows, opened as a run opens it."""

    def __init__(self, platform: Platform) -> None:
        self._context = flows_windows(platform.settings).pipeline(*platform.resources)

    def __enter__(self) -> WindowPipeline:
        return self._context.__enter__()

    def __exit__(self, *error: object) -> None:
        self._context.__exit__(None, None, None)


type MakePlatform = Callable[..., Platform]


@pytest.fixture
def make_platform(tmp_path: Path, emulator: Emulator) -> Iterator[MakePlatform]:
    """Makes a platform; keywords are settings."""
    with ExitStack() as stack:

        def made(**overrides: object) -> Platform:
            values: dict[str, object] = {
                "home": tmp_path / "home",
                **SAMPLE,
                "api_port": free_port(),
                "bigquery_dataset": f"test_{uuid4().hex}",
                "emulator_port": emulator.port,
                "emulator_key_file": emulator.key_file,
                "retry_attempts": 1,
            }
            settings = load_settings(**values | overrides)
            instance = stack.enter_context(open_instance(settings))
            supervisor = stack.enter_context(Supervisor())
            return Platform(settings, build_definitions(settings), instance, supervisor)

        yield made


@pytest.fixture(scope="session")
def built_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a platform whose database is built: each test has a copy."""
    home = tmp_path_factory.mktemp("built") / "home"
    settings = load_settings(home=home, **SAMPLE)
    with open_instance(settings) as instance:
        assert run_here(build_definitions(settings), instance, "flows_database_job").success
    return home


@pytest.fixture
def platform(make_platform: MakePlatform, built_home: Path, tmp_path: Path) -> Platform:
    """One day of 4,000 generated rows, its database built, its API up."""
    shutil.copytree(built_home, tmp_path / "home")
    made = make_platform()
    made.start_api()
    return made
