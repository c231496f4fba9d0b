"""The archive of a webhook as Dagster observes it: over a real server, with pictures of the last day."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from flows_platform.components.catalog import table_at
from flows_platform.orchestration.observed_archive import observed
from flows_platform.orchestration.resources import FetchResource
from flows_platform.orchestration.table import WindowedTable
from flows_platform.orchestration.table_definitions import windowed_definitions
from flows_platform.settings import Settings
from tests.api_server.hooks.served import URL, Hooks, serving
from tests.components.test_webhook_table import ALERTS
from tests.webhooks.declared import declared

NINE = datetime(2024, 3, 1, 9, tzinfo=UTC)
NOW = datetime(2024, 3, 1, 12, 30, tzinfo=UTC)
FETCH = FetchResource(tries=1)


def table_of(folder: Path, hooks: Hooks) -> WindowedTable:
    charts = "  charts: [{name: hosts, by: host}, {name: servers, by: host}]\n"
    (folder / "webhook.yaml").write_text(ALERTS + charts)
    return table_at(folder / "webhook.yaml", Settings(hooks_url=f"http://127.0.0.1:{hooks.port}"))


def send(hooks: Hooks) -> int:
    """Three alerts, the first of them of the day before; gives the bytes of all."""
    hours = (-48, 0, 1)
    times = [NINE + timedelta(hours=hour) for hour in hours]
    alerts = [
        json.dumps({"id": f"alert-{at:%d%H}", "created_at": int(at.timestamp()) * 1000, "at": at.isoformat()})
        for at in times
    ]
    body = '{"alerts": [' + ", ".join(alerts) + "]}"
    assert hooks.send(body.encode(), URL)[0] == 200
    return sum(map(len, alerts))


def test_an_observation_has_figures_and_pictures(tmp_path: Path) -> None:
    with serving(tmp_path, declared(archive="")) as hooks:
        size, table = send(hooks), table_of(tmp_path, hooks)
        shown = observed(table, FETCH, NOW)
    assert {name: shown[name].value for name in ("records", "bytes", "pending", "dead", "newest")} == {
        "records": 3,
        "bytes": size,
        "pending": 0,
        "dead": 0,
        "newest": "2024-03-01T10:00:00.000000Z",
    }
    for picture in ("rows_by_hour_and_host", "servers", "details"):
        assert str(shown[picture].value).startswith("![")
    assert "rows by hour and host: stacked bars, the highest of 24 is 1" in str(shown["rows_by_hour_and_host"].value)
    assert not {"rows_by_time", "hosts"} & set(shown)


def test_an_observation_is_a_run(tmp_path: Path) -> None:
    with serving(tmp_path, declared(archive="")) as hooks, dg.DagsterInstance.ephemeral() as instance:
        send(hooks)
        table = table_of(tmp_path, hooks)
        definitions = dg.Definitions.merge(
            windowed_definitions(table, lambda: NOW),
            dg.Definitions(resources={"fetch": FETCH, "warehouse": dg.ResourceDefinition.none_resource()}),
        )
        job = definitions.resolve_job_def("vendor_alerts_archive_observation_job")
        assert job.execute_in_process(instance=instance).success
        key = dg.AssetKey("vendor_alerts_archive")
        (record,) = instance.fetch_observations(key, limit=1).records
        assert record.asset_observation
        assert record.asset_observation.metadata["records"].value == 3
        graph = definitions.resolve_asset_graph()
        assert graph.get(dg.AssetKey("vendor_alerts_windows")).parent_keys == {key}


def test_a_picture_that_cannot_be_drawn_fails_no_observation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(tmp_path, declared(archive="")) as hooks:
        send(hooks)
        table = table_of(tmp_path, hooks)
        monkeypatch.setattr("flows_platform.webhooks.archive.Archive.between", None)
        shown = observed(table, FETCH, NOW)
    assert shown["records"].value == 3
    assert str(shown["pictures"].value).startswith("none: ")
