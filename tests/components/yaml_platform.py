"""A platform with one source in YAML: windows run through Dagster, rows read back from the emulator."""

from dataclasses import dataclass
from datetime import datetime

import dagster as dg
from google.cloud import bigquery

from flows_platform.components.build import windowed_table
from flows_platform.components.loader import DEFS, load_declaration
from flows_platform.components.validation import TableDeclaration
from flows_platform.orchestration.assets import CONFIRM
from flows_platform.orchestration.partitions import range_tags
from flows_platform.orchestration.table import WindowedTable
from flows_platform.settings import Settings
from flows_platform.warehouse.warehouse import emulator_client
from tests.jobs import run_here

KEY = "%Y-%m-%d-%H:%M"


@dataclass(frozen=True)
class YamlSource:
    """One declared source on a platform."""

    declaration: TableDeclaration
    settings: Settings
    definitions: dg.Definitions
    instance: dg.DagsterInstance

    @property
    def name(self) -> str:
        return self.declaration.name

    @property
    def table(self) -> WindowedTable:
        return windowed_table(self.declaration, self.settings)

    def run(self, first: datetime, last: datetime, *, confirm: bool = False) -> dg.ExecuteInProcessResult:
        """The windows that start from `first` to `last`; `confirm` lets them lose rows."""
        tags = range_tags(first.strftime(KEY), last.strftime(KEY)) | ({CONFIRM: "true"} if confirm else {})
        return run_here(self.definitions, self.instance, f"{self.name}_windows_job", tags)

    def rows(self, order: str) -> list[dict[str, object]]:
        return self.query(f"SELECT * FROM {self.name} ORDER BY {order}")

    def query(self, sql: str) -> list[dict[str, object]]:
        config = bigquery.QueryJobConfig(default_dataset=f"local.{self.settings.bigquery_dataset}")
        with emulator_client(self.settings.emulator_url, "local", "US", self.settings.emulator_key) as client:
            return [dict(row.items()) for row in client.query_and_wait(sql, job_config=config)]

    def figures(self, key: str) -> dict[str, object]:
        """Metadata of the window's last fetch."""
        asset = dg.AssetKey(self.table.files_asset)
        wanted = dg.AssetRecordsFilter(asset_key=asset, asset_partitions=[key])
        found = self.instance.fetch_materializations(wanted, limit=1).records[0].asset_materialization
        assert found is not None
        return {name: value.value for name, value in found.metadata.items()}

    def failed_checks(self, run: dg.ExecuteInProcessResult) -> list[tuple[str | None, str]]:
        entries = self.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        found = [entry.asset_check_evaluation for entry in entries if entry.asset_check_evaluation]
        assert found
        return [(check.partition, check.check_name) for check in found if not check.passed]


def shipped(name: str, settings: Settings) -> TableDeclaration:
    """The declaration of that name in this project."""
    return load_declaration(DEFS / name / "defs.yaml", settings)


def failure(run: dg.ExecuteInProcessResult) -> dict[str, str]:
    """The errors of a run's failed windows, by key."""
    (event,) = run.get_step_failure_events()
    told = event.step_failure_data.user_failure_data
    assert told is not None
    return {key: str(value.value) for key, value in told.metadata.items()}
