"""Reports in Dagster: an asset for each, with its rows and their chart, and a check of its columns.

One op makes them all, so that many load as fast as one. A report that fails does not stop the others of its run.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from flows_platform.domain.errors import PlatformError, Transient
from flows_platform.orchestration.metadata import figures
from flows_platform.orchestration.metadata.charts import report_chart
from flows_platform.orchestration.metadata.first_rows import ROWS, rows_shown
from flows_platform.orchestration.resources import WarehouseResource
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.reports.versions import Versions, VersionsFile

if TYPE_CHECKING:
    from flows_platform.reports.engine import ReportEngine
    from flows_platform.reports.service import Answer

GROUP = "reports"
PROJECT = "project_reports"  # the op of all reports of a project
COLUMNS_CHECK = "columns_are_the_declared_ones"

type Assets = Mapping[dg.AssetKey, ReportDeclaration]


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """The file with the version of each table's data, and the folder of kept answers, which servers share."""

    versions: Path
    answers: Path


def key_of(report: str) -> dg.AssetKey:
    """The asset of the report of that name."""
    return dg.AssetKey([GROUP, report])


def report_definitions(reports: Sequence[ReportDeclaration], files: ReportFiles) -> dg.Definitions:
    """The assets of these reports, and a sensor that computes those with `cache.prewarm` after their tables change."""
    if not reports:
        return dg.Definitions()
    name = PROJECT if len(reports) > 1 else f"report_{reports[0].name}"
    prewarmed = [key_of(report.name) for report in reports if report.cache.prewarm]
    return dg.Definitions(
        assets=[_assets(name, {key_of(report.name): report for report in reports}, files)],
        sensors=[_prewarm(name, prewarmed)] if prewarmed else [],
    )


def _prewarm(name: str, keys: Sequence[dg.AssetKey]) -> dg.AutomationConditionSensorDefinition:
    return dg.AutomationConditionSensorDefinition(
        f"{name}_prewarm",
        target=dg.AssetSelection.assets(*keys),
        default_status=dg.DefaultSensorStatus.RUNNING,  # a report asks for it by `cache.prewarm`
        minimum_interval_seconds=30,
        description="Computes the reports with cache.prewarm once windows of their tables were published.",
    )


def _assets(name: str, reports: Assets, files: ReportFiles) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=name,
        specs=[_spec(key, report) for key, report in reports.items()],
        check_specs=[_check(key) for key in reports],
        can_subset=True,
    )
    def computed(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> Iterator[Any]:
        from flows_platform.reports.engine import ReportEngine  # noqa: PLC0415 - loads BigQuery's client

        with warehouse.warehouse() as opened:
            engine = ReportEngine(opened.client, opened.dataset, opened.location)
            run = ReportRun(context, engine, files)
            for key in sorted(context.selected_asset_keys | _checked(context), key=dg.AssetKey.to_user_string):
                yield from run.results(key, reports[key])
        run.raise_failed()

    return computed


def _checked(context: dg.AssetExecutionContext) -> set[dg.AssetKey]:
    """The assets whose checks alone were selected, and the others with checks."""
    return {key.asset_key for key in context.selected_asset_check_keys}


def _spec(key: dg.AssetKey, report: ReportDeclaration) -> dg.AssetSpec:
    changed = dg.AutomationCondition.any_deps_updated() | dg.AutomationCondition.newly_missing()
    quiet = ~dg.AutomationCondition.any_deps_in_progress() & ~dg.AutomationCondition.in_progress()
    return dg.AssetSpec(
        key,
        deps=list(report.over),
        description=report.description,
        group_name=GROUP,
        kinds={"bigquery", "report"},
        skippable=True,
        automation_condition=changed.since_last_handled() & quiet if report.cache.prewarm else None,
        metadata={"dagster/column_schema": figures.column_schema(report.schema_of_rows.columns)},
    )


def _check(key: dg.AssetKey) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        COLUMNS_CHECK, asset=key, description="The statement gives the declared columns, as a dry run says."
    )


@dataclass(slots=True)
class ReportRun:
    """The reports of one run, one after the other."""

    context: dg.AssetExecutionContext
    engine: "ReportEngine"
    files: ReportFiles
    failed: dict[str, str] = field(default_factory=dict)

    def results(self, key: dg.AssetKey, report: ReportDeclaration) -> Iterator[Any]:
        """The check of the report's columns, and its rows where they were asked for; what fails is kept."""
        try:
            faults = self._faults(report)
        except Transient as error:
            self.failed[report.name] = str(error)
            return
        if dg.AssetCheckKey(key, COLUMNS_CHECK) in self.context.selected_asset_check_keys:
            yield _result(key, faults)
        if key not in self.context.selected_asset_keys:
            return
        if faults:
            self.failed[report.name] = "; ".join(faults)
            return
        try:
            shown = self._computed(report)
        except PlatformError as error:
            self.failed[report.name] = str(error)
        else:
            yield dg.MaterializeResult(asset_key=key, metadata=shown)

    def raise_failed(self) -> None:
        """Fail the run if a report failed.

        Raises:
            dg.Failure: some did; its metadata names them with their errors.
        """
        # guard: a failed report fails the run
        if self.failed:
            names = ", ".join(self.failed)
            raise dg.Failure(f"reports failed: {names}.", metadata=dict(self.failed), allow_retries=False)

    def _faults(self, report: ReportDeclaration) -> list[str]:
        """How the statement's columns differ from the declared ones, or why it cannot run.

        Raises:
            Transient: the warehouse cannot answer now.
        """
        try:
            return [fault.why for fault in self.engine.column_faults(report)]
        except Transient:
            raise
        except PlatformError as error:
            return [str(error)]

    def _computed(self, report: ReportDeclaration) -> figures.Metadata:
        if needed := [parameter.name for parameter in report.parameters if parameter.required]:
            return {"rows": dg.MetadataValue.text(f"none: a request must give {', '.join(needed)}")}
        return _shown(report, self._answer(report))

    def _answer(self, report: ReportDeclaration) -> "Answer":
        """The answer for the default values, which servers then have at hand."""
        from flows_platform.formats.protocol.names import WireFormat  # noqa: PLC0415 - as above
        from flows_platform.reports.cache import AnswerCache  # noqa: PLC0415 - as above
        from flows_platform.reports.service import ReportService  # noqa: PLC0415 - as above

        versions = VersionsFile(Versions(self.files.versions))
        service = ReportService([report], self.engine, versions, AnswerCache(self.files.answers))
        try:
            return asyncio.run(service.answer(service.asked(report, {}, WireFormat.ARROW)))
        finally:
            service.close()


def _result(key: dg.AssetKey, faults: Sequence[str]) -> dg.AssetCheckResult:
    metadata = {"faults": dg.MetadataValue.text("\n".join(faults))} if faults else {}
    return dg.AssetCheckResult(asset_key=key, check_name=COLUMNS_CHECK, passed=not faults, metadata=metadata)


def _shown(report: ReportDeclaration, answer: "Answer") -> figures.Metadata:
    """The figures of an answer; one that was kept cost nothing."""
    from flows_platform.reports.encode import table_of  # noqa: PLC0415 - loads pyarrow

    table = table_of(answer.body)
    rows = table.slice(0, ROWS).to_pylist()
    return {
        "dagster/row_count": dg.MetadataValue.int(answer.count),
        "rows": dg.MetadataValue.int(answer.count),
        "milliseconds": dg.MetadataValue.float(round(answer.warehouse, 1)),
        "bytes_read": dg.MetadataValue.int(answer.bytes_read),
        "kept": dg.MetadataValue.bool(not answer.warehouse),
        "data_as_of": dg.MetadataValue.text(
            f"{answer.state.as_of:%Y-%m-%dT%H:%M:%SZ}" if answer.state.as_of else "none"
        ),
        "first_rows": rows_shown(report.schema_of_rows.columns, rows),
        **report_chart(report, table),
    }
