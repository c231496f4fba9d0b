"""Columns that come from the window or its fetch: in flat and nested records, in rejects, and compared again."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pyarrow.parquet as pq
import pytest

from flows_platform.columns.batches import batch_digest
from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.schema import WarehouseTable
from flows_platform.domain.verification import RowDigest
from flows_platform.domain.windows import Window
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.http.client import HttpClient
from flows_platform.pipeline.compare import compare_rows
from flows_platform.pipeline.fetch_window import fetch_window
from flows_platform.pipeline.reprocess import reprocess_quarantine
from flows_platform.pipeline.window_pipeline import WindowPipeline
from flows_platform.warehouse.warehouse import Warehouse
from flows_platform.window_files.parquet import batches_of, footer_of
from tests.fakes.serving import Answer, Asked
from tests.fakes.small_server import SmallServer, document
from tests.fetch.declared_api import DAY, api_of

GIVEN = [
    {"name": "window_at", "type": "timestamp", "from": "window_start", "required": True},
    {"name": "until", "type": "timestamp", "from": "window_end"},
    {"name": "fetched", "type": "timestamp", "from": "fetched_at"},
]
ID = {"name": "id", "type": "int64", "required": True}


def source(url: str, columns: list[dict[str, Any]], **api: object) -> dict[str, Any]:
    time = {"after": "from", "before": "to", "before_inclusive": False}
    return {
        "name": "things",
        "api": {"url": url, "format": "json", "records": "data", "time": time, **api},
        "columns": [*columns, *GIVEN, {"name": "extra_fields", "type": "json"}],
        "time": "window_at",
        "key": "id",
        "extra": "extra_fields",
        "partitions": {"cron": "0 0 * * *", "start": "2024-03-01T00:00:00"},
    }


def answering(*records: Mapping[str, object]) -> SmallServer:
    return SmallServer(lambda _: document({"data": list(records)}))


def rows(path: Path) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", pq.read_table(path).to_pylist())


@pytest.mark.parametrize("nested", [False, True])
def test_all_rows_get_the_values_of_their_window(
    tmp_path: Path, client: HttpClient, target: Path, *, nested: bool
) -> None:
    flat = [{"id": number, "window_at": "the record's own"} for number in range(3)]
    path = "items.id" if nested else "id"
    with answering(*([{"items": flat}] if nested else flat)) as server:
        keys = {"rows": "items"} if nested else {}
        api = api_of(tmp_path, source(server.origin, [ID | {"path": path}], **keys))
        begun = datetime.now(UTC)
        fetch_window(client, api, DAY, target)
    found = rows(target)
    assert [row["id"] for row in found] == [0, 1, 2]
    assert {row["window_at"] for row in found} == {DAY.start}
    assert {row["until"] for row in found} == {DAY.end}
    assert len({row["fetched"] for row in found}) == 1
    assert begun <= found[0]["fetched"] <= datetime.now(UTC)
    kept = "$.items.window_at" if nested else "$.window_at"
    assert found[0]["extra_fields"] == f'{{"{kept}":"the record\'s own"}}'


def test_a_reprocessed_reject_gets_the_values_of_its_own_fetch(
    tmp_path: Path, client: HttpClient, target: Path
) -> None:
    with answering({"id": 1, "n": "7"}, {"id": 2, "n": "seven"}) as server:
        number = {"name": "n", "type": "int64"}
        fetch_window(client, api_of(tmp_path, source(server.origin, [ID, number])), DAY, target, max_rejected=1)
        (first,) = rows(target)
        fixed = api_of(tmp_path, source(server.origin, [ID, number | {"path": "other"}]) | {"ignore": ["n"]})
    reprocess_quarantine(fixed, DAY, target)
    again = next(row for row in rows(target) if row["id"] == 2)
    assert [again[name] for name in ("window_at", "until", "fetched")] == [
        first[name] for name in ("window_at", "until", "fetched")
    ]


def test_a_file_without_its_time_of_fetch_cannot_give_it_to_rejects(
    tmp_path: Path, client: HttpClient, target: Path
) -> None:
    with answering({"id": "one"}) as server:
        declared = source(server.origin, [ID])
        without = declared | {"columns": [column for column in declared["columns"] if column["name"] != "fetched"]}
        fetch_window(client, api_of(tmp_path, without), DAY, target, max_rejected=1)
        with pytest.raises(ConfigurationError, match="a column takes its value from fetched_at, which is not known"):
            reprocess_quarantine(api_of(tmp_path, declared), DAY, target)


def test_ranges_of_a_window_give_rows_of_that_window(tmp_path: Path, client: HttpClient, target: Path) -> None:
    month = Window(datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 3, 11, tzinfo=UTC))

    def answer(asked: Asked) -> Answer:
        return document({"data": [{"id": datetime.fromisoformat(asked.parameters["from"]).day}]})

    with SmallServer(answer) as server:
        time = {"after": "from", "before": "to", "before_inclusive": False, "longest_days": 3}
        fetch_window(client, api_of(tmp_path, source(server.origin, [ID], time=time)), month, target)
    assert [(row["id"], row["window_at"]) for row in rows(target)] == [(day, month.start) for day in (1, 4, 7, 10)]


def test_a_record_that_repeats_in_two_tries_is_the_same_record(
    tmp_path: Path, client: HttpClient, target: Path
) -> None:
    pages = {"1": [1, 2], "2": [2, 3], "3": []}

    def answer(asked: Asked) -> Answer:
        return document({"data": [{"id": number} for number in pages[asked.parameters["page"]]]})

    with SmallServer(answer) as server:
        paging = {"kind": "page", "parameter": "page"}
        fetched = fetch_window(client, api_of(tmp_path, source(server.origin, [ID], paging=paging)), DAY, target)
    assert (fetched.tries, fetched.file.rows, fetched.file.deduplicated) == (2, 3, 1)


class OneTable:
    """A warehouse that holds the rows of one file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def digest(self, _table: WarehouseTable, _window: Window) -> RowDigest:
        return sum((batch_digest(batch) for batch in batches_of(self._path)), RowDigest())


def pipeline(client: HttpClient, api: WindowedApi, folder: Path) -> WindowPipeline:
    path = folder / "2024-03-01-0000.parquet"
    return WindowPipeline(
        api=api,
        client=client,
        folder=folder,
        table=WarehouseTable(api.schema, ()),
        warehouse=cast("Warehouse", OneTable(path)),
    )


def test_a_window_that_is_read_again_is_the_same_although_its_rows_show_when_they_came(
    tmp_path: Path, client: HttpClient
) -> None:
    with answering({"id": 1}, {"id": 2}) as server:
        windows = pipeline(client, api_of(tmp_path, source(server.origin, [ID])), tmp_path)
        windows.fetch(DAY)
        fetched = footer_of(windows.path(DAY)).fetched
        assert fetched is not None
        assert datetime.now(UTC) - fetched < timedelta(minutes=10)
        (compared,) = compare_rows(windows, [DAY])
    assert compared.difference == ""


def test_a_record_that_came_twice_is_no_difference(tmp_path: Path, client: HttpClient) -> None:
    with answering({"id": 1}, {"id": 2}, {"id": 1}) as server:
        windows = pipeline(client, api_of(tmp_path, source(server.origin, [ID])), tmp_path)
        windows.fetch(DAY)
        assert footer_of(windows.path(DAY)).deduplicated == 1
        (compared,) = compare_rows(windows, [DAY])
    assert compared.digests is not None
    assert (compared.difference, compared.records, len(compared.digests)) == ("", 3, 2)
