"""How a table's rows spread, and its first rows, as the real emulator counts them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest
from google.cloud import bigquery

from flows_platform.domain.windows import Window
from flows_platform.orchestration.metadata.charts import Chart, table_charts
from flows_platform.warehouse.replace_window import Publication, bounds_of
from flows_platform.warehouse.sql import BY_TIME, first_rows, spread
from flows_platform.warehouse.warehouse import Warehouse
from flows_platform.window_files.check import CheckedFile
from tests.warehouse.event_rows import DAYS, EVENTS, EVENTS_TABLE, event
from tests.warehouse.flow_rows import Row, write_parquet

DAY = DAYS.floor(datetime(2024, 3, 5, tzinfo=UTC))
HOUR = timedelta(hours=1)
ROWS = [
    event("a", DAY.start, exploited=True, number=7),
    event("b", DAY.start + HOUR / 2, exploited=True, number=2**62),
    event("c", DAY.start + 5 * HOUR, number=2**62, score=9.8),
    event("d", DAY.end - HOUR, exploited=True, number=None),
]


@pytest.fixture
def events(client: bigquery.Client, tmp_path: Path) -> Warehouse:
    """The table of events with one day's rows."""
    warehouse = Warehouse(client, f"test_{uuid4().hex}", "US", tmp_path / "locks", timeout=60.0, attempts=1)
    warehouse.ensure_table(EVENTS_TABLE)
    path = write_parquet(tmp_path / "day.parquet", ROWS, EVENTS)
    warehouse.replace_window(Publication(EVENTS_TABLE, DAY, CheckedFile(path, "sha", len(ROWS)), "run"))
    return warehouse


def counted(warehouse: Warehouse, window: Window, columns: Sequence[str], top: int = 6, sum_of: str = "") -> set[Row]:
    sql = spread(EVENTS_TABLE, HOUR, columns, top, sum_of)
    rows = warehouse.select(sql, bounds_of(window), "counting")
    return {(row["of"], row["value"], row["number"]) for row in rows}


def seconds(instant: datetime) -> str:
    return str(int(instant.timestamp()))


def test_rows_by_hour_and_by_value_in_one_query(events: Warehouse) -> None:
    by_hour = {(BY_TIME, seconds(DAY.start + hour * HOUR), number) for hour, number in ((0, 2), (5, 1), (23, 1))}
    by_value = {("exploited", "true", 3), ("exploited", None, 1), ("score", "7.8", 3), ("score", "9.8", 1)}
    assert counted(events, DAY, ["exploited", "score"]) == by_hour | by_value
    assert counted(events, DAY, ["score"], top=1) == by_hour | {("score", "7.8", 3)}
    assert counted(events, Window(DAY.end, DAY.end + HOUR), ["score"]) == set()


def test_sums_that_pass_64_bits_are_no_number(events: Warehouse) -> None:
    assert ("score", "7.8", 2**62 + 7) in counted(events, DAY, ["score"], sum_of="number")
    assert ("known", "true", None) in counted(events, DAY, ["known"], sum_of="number")


def test_the_first_rows_are_those_with_the_first_keys(events: Warehouse) -> None:
    rows = events.select(first_rows(EVENTS_TABLE, 2), bounds_of(DAY), "looking")
    assert [row["name"] for row in rows] == ["a", "b"]


def test_a_table_of_any_column_types_is_pictured(events: Warehouse) -> None:
    charts = [
        Chart(name="exploited", by="exploited", labels={"true": "yes"}),
        Chart(name="scores", by="score"),
        Chart(name="names", by="name"),
    ]
    shown = table_charts(EVENTS_TABLE, charts, DAY, events)
    assert shown.keys() == {
        *(f"recent_{chart}" for chart in ("rows_by_time", "exploited", "scores", "names")),
        "first_rows",
    }
    table = shown["first_rows"]
    assert isinstance(table, dg.TableMetadataValue)
    assert table.records[1].data["number"] == str(2**62)
    assert table.records[0].data["seen"] == "2024-03-05 00:00:00"
    nothing = table_charts(EVENTS_TABLE, charts, DAYS.floor(DAY.start - 90 * 24 * HOUR), events)
    assert nothing.keys() == shown.keys()
