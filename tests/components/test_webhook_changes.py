"""The sensor that runs windows again: over a real server of the archive, and what the instance knows of windows."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from flows_platform.components.catalog import table_at
from flows_platform.domain.changed_windows import ChangeCursor
from flows_platform.orchestration.automation.changed_windows_sensor import changed
from flows_platform.orchestration.partitions import PARTITION
from flows_platform.orchestration.resources import FetchResource
from flows_platform.orchestration.table import WindowedTable
from flows_platform.orchestration.window_history import RUN_KEY
from flows_platform.settings import Settings
from tests.api_server.hooks.served import URL, Hooks, serving
from tests.components.test_webhook_table import ALERTS
from tests.webhooks.declared import declared

MS = 1_709_283_600_000  # 2024-03-01T09:00:00Z
HOUR = 3_600_000


@contextmanager
def opened(folder: Path) -> Iterator[tuple[Hooks, dg.DagsterInstance, WindowedTable]]:
    """A server of the archive, an instance, and the table over both."""
    (folder / "webhook.yaml").write_text(ALERTS)
    with serving(folder, declared(archive="")) as hooks, dg.DagsterInstance.ephemeral() as instance:
        yield hooks, instance, table_at(folder / "webhook.yaml", Settings(hooks_url=f"http://127.0.0.1:{hooks.port}"))


def send(hooks: Hooks, *hours: int) -> None:
    """A delivery with an alert in these hours after nine."""
    found = [{"id": f"alert-{hour}", "created_at": MS + hour * HOUR} for hour in hours]
    assert hooks.send(json.dumps({"alerts": found}).encode(), URL)[0] == 200


def loaded(instance: dg.DagsterInstance, table: WindowedTable, *keys: str) -> None:
    for key in keys:
        instance.report_runless_asset_event(dg.AssetMaterialization(table.table_key, partition=key))


def ticked(
    table: WindowedTable, instance: dg.DagsterInstance, cursor: str | None, later: timedelta = timedelta()
) -> tuple[list[dg.RunRequest], str]:
    """What a tick requests, so much later than now, and what it remembers."""
    wall = datetime.now(UTC) + later
    found = changed(table, instance, FetchResource(tries=1), wall, ChangeCursor.parse(cursor))
    assert found.cursor
    return list(found.run_requests or []), found.cursor


def look(table: WindowedTable, instance: dg.DagsterInstance, cursor: str | None) -> tuple[list[str], str]:
    """The windows that a tick requests, and what it remembers; their runs succeed."""
    requests, after = ticked(table, instance, cursor)
    for request in requests:
        ended(instance, table, request, dg.DagsterRunStatus.SUCCESS)
    return [str(request.partition_key) for request in requests], after


def ended(
    instance: dg.DagsterInstance, table: WindowedTable, request: dg.RunRequest, status: dg.DagsterRunStatus
) -> None:
    """The run of a request, with this end."""

    @dg.job(name=table.windows_job)
    def job() -> None:
        pass

    tags = {PARTITION: str(request.partition_key), RUN_KEY: str(request.run_key)}
    instance.create_run_for_job(job, tags=tags, status=status)


def test_a_change_is_not_forgotten_when_its_run_fails(tmp_path: Path) -> None:
    with opened(tmp_path) as (hooks, instance, table):
        send(hooks, 0)
        loaded(instance, table, "2024-03-01-09:00")
        (first,), cursor = ticked(table, instance, None)
        ended(instance, table, first, dg.DagsterRunStatus.FAILURE)
        assert ticked(table, instance, cursor) == ([], cursor)  # it pauses
        (second,), cursor = ticked(table, instance, cursor, timedelta(minutes=5))
        assert (first.partition_key, first.run_key) != (second.partition_key, second.run_key)
        ended(instance, table, second, dg.DagsterRunStatus.SUCCESS)
        requests, after = ticked(table, instance, cursor, timedelta(minutes=6))
        assert (requests, json.loads(after)["number"]) == ([], 1)


def test_windows_in_the_table_run_again_once_for_every_change(tmp_path: Path) -> None:
    with opened(tmp_path) as (hooks, instance, table):
        assert look(table, instance, None)[0] == []
        send(hooks, 0, 1)
        loaded(instance, table, "2024-03-01-09:00")
        keys, cursor = look(table, instance, None)
        assert keys == ["2024-03-01-09:00"]
        keys, cursor = look(table, instance, cursor)
        assert keys == []
        send(hooks, 0, 1)  # again: nothing changes
        assert look(table, instance, cursor) == ([], cursor)
        loaded(instance, table, "2024-03-01-10:00", "2024-03-01-11:00")
        send(hooks, 2)
        keys, cursor = look(table, instance, cursor)
        assert keys == ["2024-03-01-11:00"]


def test_more_changes_than_one_answer_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows_platform.webhooks.archived_records.MOST_CHANGES", 2)
    with opened(tmp_path) as (hooks, instance, table):
        send(hooks, *range(7))
        loaded(instance, table, "2024-03-01-09:00", "2024-03-01-15:00")
        keys, _ = look(table, instance, None)
        assert keys == ["2024-03-01-09:00", "2024-03-01-15:00"]


def test_another_journal_counts_from_the_start(tmp_path: Path) -> None:
    with opened(tmp_path) as (hooks, instance, table):
        send(hooks, 0)
        loaded(instance, table, "2024-03-01-09:00")
        keys, cursor = look(table, instance, ChangeCursor("of another journal", 99).render())
        assert keys == ["2024-03-01-09:00"]
        assert json.loads(look(table, instance, cursor)[1])["number"] == 1


def test_a_server_without_changes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "webhook.yaml").write_text(ALERTS)
    monkeypatch.chdir(tmp_path)
    with serving(tmp_path, declared(archive="")) as hooks, dg.DagsterInstance.ephemeral() as instance:
        table = table_at(tmp_path / "webhook.yaml", Settings(hooks_url=f"http://127.0.0.1:{hooks.port}/api/v1/none"))
        with pytest.raises(Exception, match="404"):
            look(table, instance, None)
