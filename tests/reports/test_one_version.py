"""Requests while windows are replaced, over the embedded warehouse: every answer is of one version, never mixed."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from google.cloud import bigquery

from api_server.config import ServerConfig
from api_server.reports.feature import ReportsFeature
from flows_platform.domain.windows import Window
from flows_platform.reports.cache import AnswerCache
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.reports.engine import ReportEngine
from flows_platform.reports.service import ReportService
from flows_platform.reports.versions import Versions, VersionsFile
from flows_platform.warehouse.replace_window import DerivedTable
from flows_platform.warehouse.warehouse import Warehouse
from tests.api_server.conftest import Server, running
from tests.faults.scale import scaled

from .conftest import ORDERS

REQUESTS = scaled(full=200, ci=40)
ROWS = 500
FIRST, SECOND = (
    Window(start, start + timedelta(days=1)) for start in (datetime(2024, 1, day, tzinfo=UTC) for day in (1, 2))
)
REPORT: dict[str, Any] = {
    "name": "versions",
    "description": "The versions that an answer sees.",
    "over": ["orders"],
    "parameters": [
        {"name": "start", "type": "timestamp", "default": "{{ newest - 1d }}"},
        {"name": "end", "type": "timestamp", "default": "{{ newest }}"},
    ],
    "longest": {"parameters": ["start", "end"], "days": 30},
    "sql": "SELECT MIN(price) AS low, MAX(price) AS high, COUNT(*) AS n FROM orders WHERE at >= @start AND at < @end "
    "ORDER BY n LIMIT 1",
    "columns": [
        {"name": "low", "type": "numeric"},
        {"name": "high", "type": "numeric"},
        {"name": "n", "type": "int64"},
    ],
}


def publish(warehouse: Warehouse, versions: Versions, window: Window, version: int) -> None:
    """Replace the window by rows that all have the version's price."""
    select = (
        "SELECT id, @start AS `at`, CAST(NULL AS STRING) AS customer, "
        f"CAST({version} AS NUMERIC) AS price FROM UNNEST(GENERATE_ARRAY(1, {ROWS})) AS id"
    )
    with versions.changing("orders", window):
        warehouse.recompute_window(DerivedTable(ORDERS, select), window, "run")


def rows_of(server: Server, window: Window, **headers: str) -> tuple[int, str | None, dict[str, Any]]:
    bounds = f"start={window.start:%Y-%m-%dT%H:%M:%SZ}&end={window.end:%Y-%m-%dT%H:%M:%SZ}"
    response, body = server.get(f"/api/v1/reports/versions?shape=rows&{bounds}", **headers)
    rows = json.loads(body) if response.status == 200 else [{}]
    return response.status, response.headers.get("ETag"), rows[0]


@pytest.mark.slow
@pytest.mark.faults
def test_no_answer_is_of_two_versions(client: bigquery.Client, tmp_path: Path) -> None:
    name = f"replaced_{uuid4().hex}"
    warehouse = Warehouse(client, name, "US", tmp_path / "locks", timeout=60.0)
    warehouse.ensure_table(ORDERS)
    versions = Versions(tmp_path / "versions.json")
    for window in (FIRST, SECOND):
        publish(warehouse, versions, window, 0)
    report = ReportDeclaration.model_validate(REPORT).expanded({"orders": ORDERS})
    # Nothing is kept, so that each request is a query.
    cache = AnswerCache(tmp_path / "answers", memory=0, disk=0)
    service = ReportService([report], ReportEngine(client, name, "US"), VersionsFile(versions), cache)
    done = threading.Event()
    published = 0

    def replacing() -> None:
        nonlocal published
        while not done.is_set():
            publish(warehouse, versions, SECOND, published + 1)
            published += 1

    with running(ServerConfig(), [ReportsFeature(service)]) as server:
        _, unchanged, _ = rows_of(server, FIRST)
        assert unchanged
        publisher = threading.Thread(target=replacing)
        publisher.start()
        try:
            with ThreadPoolExecutor(4) as pool:
                answers = list(pool.map(lambda _: rows_of(server, SECOND), range(REQUESTS)))
        finally:
            done.set()
            publisher.join()
        # The range beside it was never touched.
        assert rows_of(server, FIRST, If_None_Match=unchanged) == (304, unchanged, {})
        last = rows_of(server, SECOND)
    assert published
    seen: dict[str | None, set[float]] = {}
    for status, etag, row in answers:
        assert (status, row["n"], row["low"]) == (200, ROWS, row["high"])
        seen.setdefault(etag, set()).add(row["low"])
    assert all(len(found) == 1 for etag, found in seen.items() if etag)
    assert last[2] == {"low": published, "high": published, "n": ROWS}
    assert last[1]
