"""Reports in Dagster: an asset each with its figures, a check of its columns; a broken one stops no other."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster_shared.yaml_utils import parse_yamls_with_source_position

from flows_platform.cli.commands.declarations import read_declarations
from flows_platform.components import Report
from flows_platform.components.loader import REPORT
from flows_platform.components.report import declared_report, declared_reports
from flows_platform.components.source_files import source_files
from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.windows import Window
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.local.emulator import Emulator
from flows_platform.orchestration.report_assets import COLUMNS_CHECK, ReportFiles, key_of, report_definitions
from flows_platform.orchestration.resources import build_resources, shared_resources
from flows_platform.reports.cache import AnswerCache
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.reports.runner import Rows
from flows_platform.reports.service import ReportService
from flows_platform.reports.spans import Reads
from flows_platform.reports.values import Value
from flows_platform.reports.versions import Versions, VersionsFile
from flows_platform.settings import Settings, load_settings
from flows_platform.sources.loading import build_definitions
from flows_platform.sources.one_run import definitions_with
from tests.components.feed_yaml import whole_form
from tests.reports.conftest import NEWEST, changed
from tests.reports.conftest import client as client  # noqa: PLC0414 - a fixture
from tests.reports.conftest import dataset as dataset  # noqa: PLC0414 - as above
from tests.reports.shipped_tables import shipped

TOP = "top_customers"
CHART = {"kind": "bar", "x": "customer", "y": "total"}
NO_DEFAULT = {
    "name": "of_one",
    "parameters": [{"name": "customer", "type": "string"}],
    "longest": None,
    "sql": "SELECT customer, SUM(price) AS total, COUNT(*) AS orders FROM orders WHERE customer = @customer\n"
    "GROUP BY customer ORDER BY customer LIMIT 1",
}


def declared(**changes: object) -> ReportDeclaration:
    return ReportDeclaration.model_validate(changed(**changes))


@pytest.fixture
def files(tmp_path: Path) -> ReportFiles:
    Versions(tmp_path / "versions.json").committed("orders", NEWEST)
    return ReportFiles(tmp_path / "versions.json", tmp_path / "answers")


@pytest.fixture
def settings(tmp_path: Path, emulator: Emulator, dataset: str) -> Settings:
    return load_settings(
        home=tmp_path,
        bigquery_dataset=dataset,
        emulator_port=emulator.port,
        emulator_key_file=emulator.key_file,
        retry_attempts=1,
    )


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def made(
    instance: dg.DagsterInstance, settings: Settings, files: ReportFiles, *reports: ReportDeclaration
) -> dg.ExecuteInProcessResult:
    """A run of these reports."""
    (asset,) = report_definitions(reports, files).assets or ()
    assert isinstance(asset, dg.AssetsDefinition)
    resources = {"warehouse": build_resources(settings).warehouse}
    return dg.materialize([asset], instance=instance, resources=resources, raise_on_error=False)


def figures(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    return {
        event.materialization.asset_key.path[-1]: {
            name: value.value for name, value in event.materialization.metadata.items()
        }
        for event in result.get_asset_materialization_events()
    }


def test_every_shipped_report_is_an_asset_of_its_tables() -> None:
    definitions = build_definitions(Settings())
    graph = definitions.resolve_asset_graph()
    reports, _ = shipped()
    for name, report in reports.items():
        node = graph.get(key_of(name))
        assert node.parent_keys == {dg.AssetKey(table) for table in report.over}
        assert node.parent_keys <= graph.materializable_asset_keys
        assert (node.group_name, node.description) == ("reports", report.description)
        assert dg.AssetCheckKey(key_of(name), COLUMNS_CHECK) in graph.asset_check_keys


def test_an_answer_has_figures_and_a_chart(
    instance: dg.DagsterInstance, settings: Settings, files: ReportFiles
) -> None:
    result = made(instance, settings, files, declared(chart=CHART), declared(**NO_DEFAULT))
    assert result.success
    shown = figures(result)
    assert (shown[TOP]["rows"], shown[TOP]["kept"], shown[TOP]["data_as_of"]) == (2, False, "2024-03-02T00:00:00Z")
    assert shown[TOP]["milliseconds"] > 0
    assert shown[TOP]["bytes_read"] == 0  # the emulator counts none
    assert shown[TOP]["chart"].startswith("![total: bars, the highest of 2 is 100")
    assert shown[TOP]["first_rows"].records[0].data["total"] == "99999999999999999999.000000001"
    assert shown["of_one"] == {"rows": "none: a request must give customer"}
    assert [check.passed for check in result.get_asset_check_evaluations()] == [True, True]


def test_a_broken_report_stops_no_other(instance: dg.DagsterInstance, settings: Settings, files: ReportFiles) -> None:
    first, second, third = changed()["columns"]
    other = declared(name="a_wrong_type", columns=[first, {**second, "type": "int64"}, third])
    unknown = declared(name="b_wrong_column", sql=changed()["sql"].replace("price >= ", "prize >= "))
    result = made(instance, settings, files, other, unknown, declared())
    assert not result.success
    assert list(figures(result)) == [TOP]
    passed = {check.asset_key.path[-1]: check for check in result.get_asset_check_evaluations()}
    assert [passed[name].passed for name in ("a_wrong_type", "b_wrong_column", TOP)] == [False, False, True]
    assert "the statement gives customer STRING" in str(passed["a_wrong_type"].metadata["faults"].value)
    assert "prize" in str(passed["b_wrong_column"].metadata["faults"].value)
    (failure,) = result.get_step_failure_events()
    assert failure.step_failure_data.error
    assert "reports failed: a_wrong_type, b_wrong_column." in failure.step_failure_data.error.message


def test_a_check_alone_computes_nothing(instance: dg.DagsterInstance, settings: Settings, files: ReportFiles) -> None:
    resources = {"warehouse": build_resources(settings).warehouse}
    chosen = dg.AssetSelection.checks(dg.AssetCheckKey(key_of(TOP), COLUMNS_CHECK))
    definitions = dg.Definitions.merge(
        report_definitions([declared(), declared(name="another")], files),
        dg.Definitions(jobs=[dg.define_asset_job("check", selection=chosen)], resources=resources),
    )
    result = definitions.resolve_job_def("check").execute_in_process(instance=instance)
    assert figures(result) == {}
    assert [check.asset_key for check in result.get_asset_check_evaluations()] == [key_of(TOP)]


class Never:
    """What a server asks where it has no answer."""

    def run(self, report: ReportDeclaration, values: Mapping[str, Value], label: str = "", /) -> Rows:
        raise AssertionError(f"{report.name} was asked for with {values} {label}")

    def cancel(self, label: str) -> bool:
        raise AssertionError(label)


def test_the_server_has_the_answer_at_hand(
    instance: dg.DagsterInstance, settings: Settings, files: ReportFiles
) -> None:
    report = declared()
    assert made(instance, settings, files, report).success
    service = ReportService([report], Never(), VersionsFile(Versions(files.versions)), AnswerCache(files.answers))
    answer = asyncio.run(service.answer(service.asked(report, {}, WireFormat.CSV)))
    service.close()
    assert bytes(answer.body).splitlines()[1].startswith(b"bob,")
    again = made(instance, settings, files, report)
    assert (figures(again)[TOP]["kept"], figures(again)[TOP]["milliseconds"]) == (True, 0)


@pytest.mark.filterwarnings("ignore:Parameter `include_sources`")  # of Dagster's own helper for tests
def test_prewarmed_reports_follow_their_tables(instance: dg.DagsterInstance, files: ReportFiles) -> None:
    reports = [declared(cache={"prewarm": True}), declared(name="another")]
    orders = dg.Definitions(assets=[dg.AssetSpec("orders")], resources=shared_resources(Settings()))
    definitions = dg.Definitions.merge(report_definitions(reports, files), orders)
    (sensor,) = definitions.sensors or ()
    assert isinstance(sensor, dg.AutomationConditionSensorDefinition)
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    first = dg.evaluate_automation_conditions(definitions, instance)
    for key in (TOP, "another"):
        instance.report_runless_asset_event(dg.AssetMaterialization(key_of(key)))
    quiet = dg.evaluate_automation_conditions(definitions, instance, cursor=first.cursor)
    assert quiet.total_requested == 0
    instance.report_runless_asset_event(dg.AssetMaterialization("orders"))
    after = dg.evaluate_automation_conditions(definitions, instance, cursor=quiet.cursor)
    assert after.get_num_requested(key_of(TOP)) == 1
    assert after.total_requested == 1
    assert report_definitions([declared()], files).sensors == []


def test_a_broken_file_is_a_fault_and_the_other_assets_load(tmp_path: Path) -> None:
    broken = {"type": REPORT.component, "attributes": changed(over=["ordrs"])}
    (tmp_path / "broken.yaml").write_text(yaml.safe_dump(broken))
    settings = Settings(sources=("tpch_orders", str(tmp_path)))
    keys = build_definitions(settings).resolve_asset_graph().get_all_asset_keys()
    assert {key_of("top10_customers"), dg.AssetKey("tpch_orders")} < keys
    assert key_of(TOP) not in keys
    (fault,) = (key for key in keys if key.path[0] == "source_faults")
    assert "broken" in fault.path[-1]


def test_a_run_of_windows_reads_no_reports() -> None:
    settings = Settings()
    keys = frozenset({dg.AssetKey("tpch_orders")})
    definitions = definitions_with("tpch_orders_windows_job", keys, settings, source_files(settings))
    assert definitions is not None
    assert not [key for key in definitions.resolve_asset_graph().get_all_asset_keys() if key.path[0] == "reports"]


def component(path: Path) -> Report:
    """The component of a file, as Dagster loads it in a project of its own."""
    (tree,) = parse_yamls_with_source_position(path.read_text(), str(path))
    attributes = Report.get_model_cls().model_validate(tree.value["attributes"])
    return Report.load(attributes, dg.ComponentTree.for_test().load_context)


def as_file(path: Path, **attributes: Any) -> Path:
    path.write_text(yaml.safe_dump({"type": REPORT.component, "attributes": attributes}))
    return path


SHORT = {"name": "daily", "description": "By day.", "series": {"of": "flow_traffic_hourly", "sum": "bytes"}}
RANGED = {
    "name": "of_range",
    "description": "Rows by computer.",
    "over": ["flow_traffic_hourly"],
    "parameters": [
        {"name": "start", "type": "timestamp", "default": "{{ newest - 1d }}"},
        {"name": "end", "type": "timestamp", "default": "2014-01-02"},
    ],
    "longest": {"parameters": ["start", "end"], "days": 30},
    "sql": "SELECT computer, COUNT(*) AS n FROM flow_traffic_hourly WHERE hour >= @start AND hour < @end\n"
    "GROUP BY computer ORDER BY computer LIMIT 10",
    "columns": [{"name": "computer", "type": "string"}, {"name": "n", "type": "int64"}],
}


@pytest.mark.slow
def test_a_report_is_the_same_for_the_server_and_for_dagster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [as_file(tmp_path / f"{one['name']}.yaml", **one) for one in (SHORT, RANGED)]
    monkeypatch.setenv("FLOWS_SOURCES", f"lanl_flows,{tmp_path}")
    settings = load_settings(home=tmp_path / "home")
    served = {report.name: report for report in read_declarations(settings).reports}
    listed = {report.name: report.digest for report in declared_reports(settings).reports}
    assert {name: report.digest for name, report in served.items()} == listed
    for path in files:
        declaration = component(path).declaration
        assert declared_report(declaration, settings).digest == listed[declaration.name]
    longest = served["of_range"].longest
    assert longest is not None
    assert longest.reads is Reads.BEFORE


def test_a_component_prewarms_what_the_server_serves(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    instance: dg.DagsterInstance,
    settings: Settings,
    files: ReportFiles,
) -> None:
    (tmp_path / "sources").mkdir()
    table = yaml.safe_load(whole_form())
    table["attributes"] |= {"name": "orders", "time": "at", "extra": None}
    table["attributes"]["columns"] = [
        {"name": "id", "type": "int64", "required": True},
        {"name": "at", "type": "timestamp", "required": True},
        {"name": "customer"},
        {"name": "price", "type": "numeric", "required": True},
    ]
    (tmp_path / "sources" / "orders.yaml").write_text(yaml.safe_dump(table))
    path = as_file(tmp_path / "sources" / "orders.report.yaml", **changed())
    for name, value in {
        "FLOWS_HOME": str(tmp_path),
        "FLOWS_SOURCES": str(tmp_path / "sources"),
        "FLOWS_BIGQUERY_DATASET": settings.bigquery_dataset,
        "FLOWS_EMULATOR_PORT": str(settings.emulator_port),
        "FLOWS_EMULATOR_KEY_FILE": str(settings.emulator_key),
    }.items():
        monkeypatch.setenv(name, value)
    own = load_settings()
    Versions(own.versions).committed("orders", NEWEST)
    context = dg.ComponentTree.for_test().load_context
    definitions = component(path).build_defs(context)
    job = definitions.resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(instance=instance, resources=dict(definitions.resources or {})).success
    (report,) = declared_reports(own).reports
    service = ReportService([report], Never(), VersionsFile(Versions(own.versions)), AnswerCache(own.files.reports))
    answer = asyncio.run(service.answer(service.asked(report, {}, WireFormat.CSV)))
    service.close()
    assert bytes(answer.body).splitlines()[1].startswith(b"bob,")


def test_a_component_over_a_table_that_no_source_declares_says_where_it_looked(tmp_path: Path) -> None:
    path = as_file(
        tmp_path / "far.yaml", **changed(over=["ordrs"], sql=changed()["sql"].replace("orders\n", "ordrs\n"))
    )
    with pytest.raises(ConfigurationError, match=r"top_customers: over\.0: there is no table 'ordrs'.*FLOWS_SOURCES"):
        component(path).build_defs(dg.ComponentTree.for_test().load_context)


def test_a_changed_window_is_computed_again(
    instance: dg.DagsterInstance, settings: Settings, files: ReportFiles
) -> None:
    report = declared()
    assert made(instance, settings, files, report).success
    with Versions(files.versions).changing("orders", Window(NEWEST.replace(day=1), NEWEST)):
        pass
    assert figures(made(instance, settings, files, report))[TOP]["kept"] is False
