"""Dates and exact decimals on their whole way: from an API's answer to the warehouse, to the last digit."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from flows_platform.domain.schema import Granularity, WarehouseTable
from flows_platform.fetch.http.client import HttpClient
from flows_platform.local.emulator import Emulator
from flows_platform.pipeline.compare import compare_rows
from flows_platform.pipeline.window_pipeline import WindowPipeline
from flows_platform.warehouse.warehouse import Warehouse, emulator_client
from flows_platform.window_files.quarantine import quarantine_path, read_quarantine
from tests.fakes.serving import Answer
from tests.fakes.small_server import SmallServer
from tests.fetch.declared_api import DAY, api_of

LONG = "12345678901234567890.105000001"
COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "int64", "required": True},
    {"name": "amount", "type": "numeric", "required": True},
    {"name": "fee", "type": "numeric", "path": "more.fee"},
    {"name": "due", "type": "date"},
    {"name": "paid", "type": "date", "written": "%d/%m/%Y"},
    {"name": "day", "type": "date", "from": "window_start", "required": True},
    {"name": "window_at", "type": "timestamp", "from": "window_start", "required": True},
]
RECORDS = [
    f'{{"id": 1, "amount": {LONG}, "more": {{"fee": "1.50"}}, "due": "2024-02-29", "paid": "01/03/2024"}}',
    '{"id": 2, "amount": "15e-1", "more": {"fee": 0.1}, "due": null, "paid": ""}',
    '{"id": 3, "amount": -0.000000001, "more": {}, "due": "9999-12-31"}',
    '{"id": 4, "amount": 1.0000000001, "due": "2024-03-01"}',
    '{"id": 5, "amount": 5, "due": "2024-02-30"}',
    '{"id": 6, "amount": 6, "due": "2024-03-01T00:00:00Z"}',
]
ROWS = {
    1: (Decimal(LONG), Decimal("1.5"), date(2024, 2, 29), date(2024, 3, 1), date(2024, 3, 1)),
    2: (Decimal("1.5"), Decimal("0.1"), None, None, date(2024, 3, 1)),
    3: (Decimal("-0.000000001"), None, date(9999, 12, 31), None, date(2024, 3, 1)),
}
NAMES = ("amount", "fee", "due", "paid", "day")


def source(url: str, columns: list[dict[str, Any]] = COLUMNS) -> dict[str, Any]:
    time = {"after": "from", "before": "to", "before_inclusive": False}
    return {
        "name": "payments",
        "api": {"url": url, "format": "json", "records": "data", "time": time},
        "columns": columns,
        "time": "window_at",
        "key": "id",
        "charts": [{"name": "amounts", "by": "amount"}, {"name": "due", "by": "due"}],
        "partitions": {"cron": "0 0 * * *", "start": "2024-03-01T00:00:00"},
    }


@pytest.fixture
def server() -> Iterator[SmallServer]:
    body = f'{{"data": [{", ".join(RECORDS)}]}}'.encode()
    with SmallServer(lambda _: Answer(200, {"Content-Type": "application/json"}, body)) as server:
        yield server


@pytest.fixture
def warehouse(emulator: Emulator, tmp_path: Path) -> Iterator[Warehouse]:
    with emulator_client(emulator.url, "local", "US", emulator.key_file) as opened:
        yield Warehouse(opened, f"test_{uuid4().hex}", "US", tmp_path / "locks", timeout=60.0, attempts=1)


def in_table(warehouse: Warehouse) -> Mapping[int, tuple[object, ...]]:
    found = warehouse.select("SELECT * FROM `payments`", (), "reading payments")
    return {row["id"]: tuple(row[name] for name in NAMES) for row in found}


def test_from_the_answer_to_the_table_and_back(
    client: HttpClient, server: SmallServer, warehouse: Warehouse, tmp_path: Path
) -> None:
    api = api_of(tmp_path, source(server.origin))
    table = WarehouseTable(api.schema, ("due", "amount"), granularity=Granularity.DAY)
    windows = WindowPipeline(api=api, client=client, folder=tmp_path, table=table, warehouse=warehouse, max_rejected=3)
    warehouse.ensure_table(table)
    windows.fetch(DAY)
    rejects = list(read_quarantine(quarantine_path(windows.path(DAY))))
    assert [reject.reason.partition(": ")[2] for reject in rejects] == [
        "1.0000000001 has more than 9 decimals, which would be rounded",
        "'2024-02-30' is not a date of the years 1 to 9999 as YYYY-MM-DD",
        "'2024-03-01T00:00:00Z' is not a date of the years 1 to 9999 as YYYY-MM-DD",
    ]
    assert rejects[0].raw == b'{"id":4,"amount":1.0000000001,"due":"2024-03-01"}'
    windows.publish(DAY, "run")
    assert in_table(warehouse) == ROWS
    (compared,) = compare_rows(windows, [DAY])
    assert (compared.difference, compared.digests is not None) == ("", True)
    without = [column | {"path": "other"} if column["name"] == "due" else column for column in COLUMNS]
    fixed = api_of(tmp_path, source(server.origin, without) | {"ignore": ["due"]})
    again = replace(windows, api=fixed).reprocess(DAY)
    assert (again.recovered, again.rejected) == (2, 1)
    windows.publish(DAY, "run 2")
    assert in_table(warehouse) == ROWS | {
        5: (Decimal(5), None, None, None, date(2024, 3, 1)),
        6: (Decimal(6), None, None, None, date(2024, 3, 1)),
    }
