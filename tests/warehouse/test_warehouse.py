"""A window in the warehouse has its old rows or its new ones; its neighbours are not touched."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier

import pytest
from google.cloud import bigquery

from flows_platform.domain.errors import ConfigurationError, WarehouseError, WarehouseUnavailable
from flows_platform.domain.schema import Column, ColumnType, WarehouseTable
from flows_platform.domain.verification import RowDigest
from flows_platform.domain.windows import Window
from flows_platform.local.emulator import Emulator
from flows_platform.sources.lanl_flows.schema import FLOWS, FLOWS_TABLE
from flows_platform.warehouse.replace_window import Publication, load
from flows_platform.warehouse.tables import MARK
from flows_platform.warehouse.warehouse import Warehouse, emulator_client
from tests.warehouse.flow_rows import GRID, Row, flow, window

type Made = Callable[[Window, Sequence[Row]], Publication]

FIRST = [flow(1, 0), flow(2, 3599), flow(3, 3600), flow(4, 10799)]  # second 0 and both sides of an hour partition
SECOND = [flow(5, 10800), flow(6, 21599)]


def staging_tables(warehouse: Warehouse) -> list[str]:
    return [item.table_id for item in warehouse.client.list_tables(warehouse.dataset) if MARK in item.table_id]


def test_adjacent_windows_are_exact_and_replacing_one_leaves_the_other(warehouse: Warehouse, publication: Made) -> None:
    published = warehouse.replace_window(publication(window(0), FIRST))
    assert (published.inserted, published.deleted) == (4, 0)
    warehouse.replace_window(publication(window(1), SECOND))
    again = warehouse.replace_window(publication(window(0), FIRST[1:]))
    assert (again.inserted, again.deleted) == (3, 4)
    assert warehouse.digest(FLOWS_TABLE, window(0)) == RowDigest.of(FIRST[1:])
    assert warehouse.digest(FLOWS_TABLE, window(1)) == RowDigest.of(SECOND)
    assert warehouse.digest(FLOWS_TABLE, window(2)) == RowDigest()
    assert warehouse.digest(FLOWS_TABLE) == RowDigest.of(FIRST[1:] + SECOND)
    assert warehouse.window_counts(FLOWS_TABLE, GRID) == {window(0): 3, window(1): 2}
    assert not staging_tables(warehouse)


@pytest.mark.slow
def test_the_same_content_again_changes_nothing(warehouse: Warehouse, publication: Made) -> None:
    made = publication(window(0), FIRST)
    jobs = {warehouse.replace_window(made).merge_job for _ in range(3)}
    assert len(jobs) == 3
    assert warehouse.digest(FLOWS_TABLE) == RowDigest.of(FIRST)


@pytest.mark.slow
def test_an_empty_window_clears_its_rows_and_no_others(warehouse: Warehouse, publication: Made) -> None:
    warehouse.replace_window(publication(window(0), FIRST))
    warehouse.replace_window(publication(window(1), SECOND))
    cleared = warehouse.replace_window(publication(window(0), []))
    assert (cleared.inserted, cleared.deleted, cleared.load_job) == (0, 4, "")
    assert warehouse.count(FLOWS_TABLE, window(0)) == 0
    assert warehouse.count(FLOWS_TABLE) == 2


def test_an_empty_window_without_rows_is_counted_and_nothing_else(warehouse: Warehouse, publication: Made) -> None:
    warehouse.replace_window(publication(window(0), FIRST))
    published = warehouse.replace_window(publication(window(1), []))
    assert (published.inserted, published.deleted, published.load_job) == (0, 0, "")
    job = warehouse.client.get_job(published.merge_job)
    assert isinstance(job, bigquery.QueryJob)
    assert job.statement_type == "SELECT"
    assert published.merge_job.endswith("_0")  # its own turn, after the changes of others have ended
    assert warehouse.digest(FLOWS_TABLE) == RowDigest.of(FIRST)


@pytest.mark.slow
def test_a_table_made_again_does_not_adopt_the_old_tables_jobs(warehouse: Warehouse, publication: Made) -> None:
    made = publication(window(0), FIRST)
    warehouse.replace_window(made)
    warehouse.client.delete_table(f"{warehouse.dataset}.flows")
    warehouse.ensure_table(FLOWS_TABLE)
    warehouse.replace_window(made)
    assert warehouse.count(FLOWS_TABLE) == 4


def test_facts_of_a_window(warehouse: Warehouse, publication: Made) -> None:
    warehouse.replace_window(publication(window(0), [*FIRST, flow(4, 20)]))
    summary = warehouse.window_summary(FLOWS_TABLE, window(0))
    assert (summary.rows, summary.distinct_keys, summary.misplaced) == (5, 4, 0)
    assert summary.first == datetime(2014, 1, 1, tzinfo=UTC)
    assert summary.last == datetime(2014, 1, 1, 2, 59, 59, tzinfo=UTC)
    nothing = warehouse.window_summary(FLOWS_TABLE, window(7))
    assert (nothing.rows, nothing.first, nothing.last) == (0, None, None)


@pytest.mark.parametrize("time", [-(2**63), 2**63 - 1, 6])
def test_rows_whose_event_time_is_not_epoch_plus_time_are_counted(warehouse: Warehouse, time: int) -> None:
    values = ", ".join(f"'{value}'" if isinstance(value, str) else f"{value}" for value in flow(1, time))
    sql = f"INSERT INTO `flows` VALUES ({values}, TIMESTAMP '2014-01-01 00:00:05+00:00')"
    config = bigquery.QueryJobConfig(default_dataset=f"local.{warehouse.dataset}")
    warehouse.client.query_and_wait(sql, job_config=config)
    assert warehouse.window_summary(FLOWS_TABLE, window(0)).misplaced == 1


def test_a_load_that_counts_other_rows_stops_before_the_table(warehouse: Warehouse, publication: Made) -> None:
    made = publication(window(0), FIRST)
    made = replace(made, file=replace(made.file, rows=5))
    with (
        pytest.raises(WarehouseError, match="5 rows were verified, but the load counted 4"),
        warehouse._staging().table(FLOWS_TABLE) as staged,
    ):
        load(made, warehouse._jobs(), staged)
    assert warehouse.count(FLOWS_TABLE) == 0
    assert not staging_tables(warehouse)


def test_a_merge_that_inserts_other_rows_is_told(
    warehouse: Warehouse, publication: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows_platform.warehouse.replace_window.load", lambda *_: "lost")
    with pytest.raises(WarehouseError, match="4 rows loaded, but the job reports"):
        warehouse.replace_window(publication(window(0), FIRST))


def test_a_merge_the_warehouse_refuses_is_terminal_and_leaves_no_staging(
    warehouse: Warehouse, publication: Made
) -> None:
    warehouse.client.delete_table(f"{warehouse.dataset}.flows")
    with pytest.raises(WarehouseError, match=r"replacing the window 2014-01-01-00:00 of flows: .*notFound"):
        warehouse.replace_window(publication(window(0), FIRST))
    assert not staging_tables(warehouse)
    warehouse.ensure_table(FLOWS_TABLE)
    published = warehouse.replace_window(publication(window(0), FIRST))
    assert published.merge_job.endswith("_1")  # the failed id is not used again


def test_ensuring_a_table_again_is_fine_and_one_that_differs_is_named(warehouse: Warehouse) -> None:
    warehouse.ensure_table(FLOWS_TABLE)
    other: WarehouseTable = replace(FLOWS_TABLE, clustering=("dst_comp",))
    with pytest.raises(WarehouseError, match="clustering src_comp, dst_comp instead of dst_comp"):
        warehouse.ensure_table(other)
    more = replace(FLOWS, columns=(*FLOWS.columns, Column("extra", ColumnType.STRING, "", nullable=True)))
    with pytest.raises(WarehouseError, match="missing extra STRING NULLABLE"):
        warehouse.ensure_table(replace(FLOWS_TABLE, schema=more))
    found = warehouse.client.get_table(f"{warehouse.dataset}.flows")
    assert found.clustering_fields == ["src_comp", "dst_comp"]


def test_runs_that_create_the_dataset_and_the_table_at_once_all_find_them(
    emulator: Emulator, warehouse: Warehouse
) -> None:
    together = Barrier(3)

    def ensure(name: str) -> None:
        with emulator_client(emulator.url, "local", "US", emulator.key_file) as client:
            made = replace(warehouse, client=client, dataset=name, attempts=4)
            together.wait(60)
            made.ensure_table(FLOWS_TABLE)

    names = [f"{warehouse.dataset}_{number}" for number in range(4)]
    with ThreadPoolExecutor(together.parties) as runs:
        for name in names:
            list(runs.map(ensure, [name] * together.parties))
    for name in names:
        assert [item.table_id for item in warehouse.client.list_tables(name)] == [FLOWS_TABLE.name]


def test_a_dataset_in_another_location_is_refused(warehouse: Warehouse) -> None:
    with pytest.raises(ConfigurationError, match="is in US, not in EU"):
        replace(warehouse, location="EU").ensure_table(FLOWS_TABLE)


@pytest.mark.parametrize("name", ["flows$2014010100", "flows-2"])
def test_names_that_bigquery_reads_otherwise_are_refused(warehouse: Warehouse, name: str) -> None:
    with pytest.raises(ConfigurationError):
        warehouse.ensure_table(replace(FLOWS_TABLE, schema=replace(FLOWS, name=name)))
    with pytest.raises(ConfigurationError):
        Warehouse(warehouse.client, name, "US", warehouse.locks)


def test_leftover_staging_tables_are_swept_once_they_are_old(warehouse: Warehouse) -> None:
    reference = warehouse._reference.table(f"flows{MARK}left")
    warehouse.client.create_table(bigquery.Table(reference, schema=[bigquery.SchemaField("id", "INTEGER")]))
    warehouse.ensure_table(FLOWS_TABLE)
    assert staging_tables(warehouse)
    later = replace(warehouse, now=lambda: datetime.now(UTC) + timedelta(hours=7))
    later.ensure_table(FLOWS_TABLE)
    assert not staging_tables(warehouse)
    assert later.count(FLOWS_TABLE) == 0


def test_a_warehouse_that_does_not_answer_is_unavailable(publication: Made, tmp_path: Path) -> None:
    with emulator_client("http://127.0.0.1:1", "local", "US", tmp_path / "key") as client:
        absent = Warehouse(client, "d", "US", tmp_path, attempts=1)
        with pytest.raises(WarehouseUnavailable, match="creating the staging table"):
            absent.replace_window(publication(window(0), FIRST))
        with pytest.raises(WarehouseUnavailable, match="no answer"):
            absent.ensure_table(FLOWS_TABLE)
