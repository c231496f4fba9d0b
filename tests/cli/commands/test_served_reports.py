"""The reports of a project as the server finds them: what is served, what is not and why, and what it costs."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from google.cloud import bigquery
from pydantic import SecretStr

from flows_platform.cli.commands.declarations import read_declarations
from flows_platform.cli.commands.report_engine import report_engine
from flows_platform.cli.commands.serve import ServedData, features_of
from flows_platform.components.catalog import tables_at
from flows_platform.components.loader import REPORT
from flows_platform.components.source_files import WEBHOOKS
from flows_platform.components.webhook_files import load_webhooks
from flows_platform.domain.errors import ConfigurationError, InputError, ProcessFailed, WarehouseUnavailable
from flows_platform.local.emulator import Emulator
from flows_platform.local.ports import free_port, listens
from flows_platform.settings import Settings
from flows_platform.warehouse.schema import target_table
from flows_platform.warehouse.warehouse import emulator_client
from tests.api_server.conftest import Server, build, flows
from tests.components.feed_yaml import whole_form
from tests.conditions import eventually

SQL = (
    "SELECT indicator_source_country AS country, COUNT(*) AS n FROM sightings "
    "GROUP BY country ORDER BY n DESC, country LIMIT 10"
)


def report(name: str = "countries", **changes: Any) -> dict[str, Any]:
    columns = [{"name": "country", "type": "string"}, {"name": "n", "type": "int64"}]
    return {
        "name": name,
        "description": "Rows.",
        "over": ["sightings"],
        "sql": SQL,
        "columns": columns,
        **changes,
    }


def project(folder: Path, *reports: dict[str, Any], **settings: Any) -> Settings:
    """A project of one table and these reports."""
    (folder / "sources").mkdir()
    (folder / "sources" / "feed.yaml").write_text(whole_form())
    documents = [{"type": REPORT.component, "attributes": one} for one in reports]
    (folder / "sources" / "all.report.yaml").write_text(yaml.safe_dump_all(documents, sort_keys=False))
    return Settings(home=folder / "home", sources=str(folder / "sources"), **settings)


@pytest.fixture
def dataset(tmp_path: Path, emulator: Emulator) -> Iterator[dict[str, Any]]:
    """The settings of a dataset without tables in the emulator."""
    name = f"served_{uuid4().hex}"
    with emulator_client(emulator.url, "local", "US", emulator.key_file) as client:
        client.create_dataset(name)
        yield {"emulator_port": emulator.port, "emulator_key_file": emulator.key_file, "bigquery_dataset": name}


def create_table(settings: Settings) -> None:
    (source,) = tables_at(Path(settings.sources[0]) / "feed.yaml", settings)
    with emulator_client(settings.emulator_url, "local", "US", settings.emulator_key) as client:
        reference = bigquery.DatasetReference("local", settings.bigquery_dataset).table(source.name)
        client.create_table(target_table(reference, source.table))


@pytest.mark.slow
def test_reports_are_checked_against_a_dry_run(tmp_path: Path, dataset: dict[str, Any]) -> None:
    wrong = report("other_type", columns=[{"name": "country", "type": "string"}, {"name": "n", "type": "numeric"}])
    unknown = report("unknown", sql=SQL.replace("indicator_source_country", "land"))
    required = report(
        "required",
        parameters=[{"name": "least", "type": "int64"}, {"name": "lands", "type": "string", "many": True}],
        sql=SQL.replace("GROUP", "WHERE indicator_source_country IN UNNEST(@lands) AND 1 > @least GROUP"),
    )
    settings = project(tmp_path, report(), wrong, unknown, required, report(), **dataset)
    create_table(settings)
    found = read_declarations(settings)
    assert [one.name for one in found.reports] == ["countries", "required"]
    assert found.reports[0].sql == SQL
    assert not found.unchecked
    same, other, missing = found.faults
    lines = (tmp_path / "sources" / "all.report.yaml").read_text().splitlines()
    types = [index for index, line in enumerate(lines, 1) if line == "  - name: n"]
    assert (
        f"all.report.yaml:{types[1]}: columns.1: the statement gives country STRING, n INTEGER; declared are" in other
    )
    assert "sql: " in missing
    assert "land" in missing
    assert "name: another report has this name" in same
    assert int(same.split(":")[1]) > int(missing.split(":")[1]) > int(other.split(":")[1])


@pytest.mark.slow
def test_a_table_without_windows_and_a_warehouse_that_is_away_refuse_no_report(
    tmp_path: Path, dataset: dict[str, Any]
) -> None:
    settings = project(tmp_path, report(), report("second"), **dataset)
    found = read_declarations(settings)
    assert [one.name for one in found.reports] == ["countries", "second"] == list(found.unchecked)
    assert all("sightings" in why for why in found.unchecked.values())
    away = read_declarations(settings.model_copy(update={"emulator_port": free_port()}))
    assert [one.name for one in away.reports] == ["countries", "second"] == list(away.unchecked)
    assert "no answer from the warehouse" in away.unchecked["countries"]
    assert not found.faults
    assert not away.faults


@pytest.mark.slow
def test_an_emulator_that_never_ran_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    settings = project(tmp_path, report())
    assert "the local emulator was never started" in read_declarations(settings).unchecked["countries"]
    assert not settings.home.exists()
    with pytest.raises(WarehouseUnavailable, match="`flows dev`"):
        report_engine(settings)


@pytest.mark.slow
def test_a_key_that_is_none_is_shown_nowhere(tmp_path: Path) -> None:
    settings = project(tmp_path, report(), bigquery_project="p", bigquery_credentials=SecretStr("eyJjYW5hcnkiOiAxfQ=="))
    found = read_declarations(settings)
    assert "FLOWS_BIGQUERY_CREDENTIALS" in found.unchecked["countries"]
    assert "canary" not in str(found)
    with pytest.raises(ConfigurationError, match="the credentials of BigQuery cannot be used") as caught:
        report_engine(settings)
    assert caught.value.__cause__ is None


@pytest.mark.slow
def test_a_derived_table_is_one_that_reports_may_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        f"type: {REPORT.component}\nattributes:\n  name: busiest\n  description: d\n"
        "  top: {of: flow_traffic_hourly, by: computer, sum: bytes}\n"
    )
    found = read_declarations(Settings(home=tmp_path / "home", sources=f"lanl_flows,{tmp_path}"))
    assert "busiest" in [one.name for one in found.reports]
    assert not [fault for fault in found.faults if "busiest" in fault]


@pytest.mark.slow
def test_files_that_cannot_be_read_are_faults_and_others_are_served(tmp_path: Path) -> None:
    settings = project(tmp_path, report())
    (tmp_path / "sources" / "b.report.yaml").write_text(f"type: {REPORT.component}\nattributes:\n  nmae: x\n")
    found = read_declarations(settings.model_copy(update={"sources": (*settings.sources, "absent")}))
    assert [one.name for one in found.reports] == ["countries"]
    assert any("'absent' is not a folder" in fault for fault in found.faults)
    assert any(
        "b.report.yaml:3: nmae is 'x': there is no such key; did you mean name?" in fault for fault in found.faults
    )


@pytest.mark.slow
def test_without_a_database_the_server_has_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = project(tmp_path, report())
    monkeypatch.setenv("FLOWS_HOME", str(settings.home))
    monkeypatch.setenv("FLOWS_SOURCES", settings.sources[0])
    features, (why,) = features_of(ServedData(None))
    assert [feature.source for feature in features] == ["CVEs", "1 report"]
    assert why.startswith(f"flows: there is no database {settings.files.database}; `flows load` builds one")
    with pytest.raises(InputError, match=r"absent\.db"):
        features_of(ServedData(tmp_path / "absent.db"))
    settings.files.database.parent.mkdir(parents=True)
    build(settings.files.database, flows(3))
    features, not_served = features_of(ServedData(None, reports=False))
    assert [feature.source for feature in features] == [str(settings.files.database), "CVEs"]
    assert not not_served
    for feature in features:
        feature.close()


def test_sources_that_cannot_be_read_at_all_are_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ProcessFailed, match="the sources could not be read"):
        read_declarations(Settings(home=tmp_path))


@pytest.mark.slow
def test_webhooks_are_read_with_the_reports_or_alone(tmp_path: Path) -> None:
    settings = project(tmp_path, report())
    text = (WEBHOOKS / "standard_events.yaml").read_text()
    for name in ("a", "b"):
        (tmp_path / "sources" / f"{name}.yaml").write_text(text)
    declared = load_webhooks(tmp_path / "sources" / "a.yaml", settings)
    for reports in (True, False):
        found = read_declarations(settings, reports=reports)
        assert [one.name for one in found.reports] == ["countries"] * reports
        assert [one.paths for one in found.webhooks] == [one.paths for one in declared]
        assert [one.webhook for one in found.webhooks] == [one.webhook for one in declared]
        assert len([fault for fault in found.faults if "have one name" in fault]) == 1


LOADED = """
import sys
from flows_platform.cli.commands.serve import ServedData, features_of
from api_server.app import create_app
from api_server.config import ServerConfig
features, _ = features_of(ServedData(None))
create_app(ServerConfig(), features)
print(*(feature.source for feature in features), file=sys.stderr)
for feature in features:
    feature.close()
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


UNWANTED = {"dagster", "google", "pyarrow", "lxml", "ijson", "yaml", "pandas", "requests", "urllib3"}


@pytest.mark.slow
def test_reports_and_webhooks_bring_no_dagster_and_no_client_into_the_server(tmp_path: Path) -> None:
    settings = project(tmp_path, report())
    (tmp_path / "sources" / "a.yaml").write_text((WEBHOOKS / "standard_events.yaml").read_text())
    secret = {"STANDARD_HOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
    environment = {**os.environ, **secret, "FLOWS_HOME": str(settings.home), "FLOWS_SOURCES": settings.sources[0]}
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True, env=environment)
    assert done.stderr.split()[:3] == ["CVEs", "1", "report"]
    assert "webhooks" in done.stderr
    assert not UNWANTED & set(done.stdout.split())


@contextmanager
def served(settings: Settings) -> Iterator[tuple[Server, "subprocess.Popen[str]"]]:
    """`flows serve` without further flags, in a process of its own."""
    environment = {
        **os.environ,
        "FLOWS_HOME": str(settings.home),
        "FLOWS_SOURCES": settings.sources[0],
        "FLOWS_EMULATOR_PORT": str(settings.emulator_port),
        "FLOWS_EMULATOR_KEY_FILE": str(settings.emulator_key),
        "FLOWS_BIGQUERY_DATASET": settings.bigquery_dataset,
    }
    port = free_port()
    command = [sys.executable, "-m", "flows_platform", "serve", "--port", str(port)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert eventually(lambda: listens(port), seconds=120)
            yield Server(port), process
        finally:
            process.terminate()


@pytest.mark.slow
def test_flows_serve_says_what_it_serves_and_answers(tmp_path: Path, dataset: dict[str, Any]) -> None:
    settings = project(
        tmp_path,
        report(),
        report("wrong", over=["sighting"], sql=SQL.replace("FROM sightings", "FROM sighting")),
        **dataset,
    )
    create_table(settings)
    with served(settings) as (server, process):
        response, body = server.get("/api/v1/reports/countries")
        assert (response.status, json.loads(body)["rows"]) == (200, [])
        listed = json.loads(server.get("/api/v1/reports")[1])
        assert server.get("/healthz")[0].status == 200
        assert server.get("/api/v1/stream/flows")[0].status == 404
        status = Path(f"/proc/{process.pid}/status").read_text("ascii")
        process.terminate()
        _, log = process.communicate(timeout=60)
    first, *notes = [line.partition(" ")[2].partition(" ")[2] for line in log.splitlines()]
    assert "serving CVEs, 1 report on http://127.0.0.1:" in first
    assert "WARNING not served: flows: there is no database" in notes[0]
    assert "all.report.yaml:20: over.0: there is no table 'sighting'; did you mean sightings?" in notes[1]
    assert [one["name"] for one in listed["reports"]] == ["countries"]
    (fault,) = listed["faults"]
    assert fault.startswith("all.report.yaml:20: over.0: there is no table 'sighting'; did you mean sightings?")
    assert fault.endswith(" The report wrong is left out.")
    peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
    assert peak < 256 * 2**20
