"""Windows on real BigQuery, through dagster-gcp's resource. Runs only where FLOWS_TEST_BIGQUERY_PROJECT is set.

FLOWS_BIGQUERY_PROJECT=my-project .venv/bin/pytest tests/live
"""

import os
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest

from flows_platform.domain.verification import RowDigest
from flows_platform.orchestration.resources import build_resources
from flows_platform.settings import load_settings
from flows_platform.sources.lanl_flows.schema import FLOWS_TABLE
from flows_platform.warehouse.replace_window import Publication
from flows_platform.warehouse.warehouse import Warehouse
from flows_platform.window_files.check import CheckedFile
from tests.warehouse.event_rows import DAYS, EVENTS, EVENTS_TABLE, event
from tests.warehouse.flow_rows import Row, flow, window, write_parquet

PROJECT = os.environ.get("FLOWS_TEST_BIGQUERY_PROJECT", "")
pytestmark = pytest.mark.skipif(not PROJECT, reason="FLOWS_TEST_BIGQUERY_PROJECT is not set")


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    """A dataset of its own, deleted afterwards."""
    settings = load_settings(home=tmp_path, bigquery_project=PROJECT, bigquery_dataset=f"flows_test_{uuid4().hex}")
    with build_resources(settings).warehouse.warehouse() as opened:
        opened.ensure_table(FLOWS_TABLE)
        yield opened
        opened.client.delete_dataset(settings.bigquery_dataset, delete_contents=True)


def test_windows_are_replaced_emptied_and_digested(warehouse: Warehouse, tmp_path: Path) -> None:
    first, second = [flow(1, 0), flow(2, 10_799)], [flow(3, 10_800, src_comp="é😀,\0")]

    def replace(number: int, rows: Sequence[Row]) -> None:
        parquet = write_parquet(tmp_path / f"{uuid4().hex}.parquet", rows)
        warehouse.replace_window(
            Publication(FLOWS_TABLE, window(number), CheckedFile(parquet, "sha", len(rows)), "live")
        )

    replace(0, first)
    replace(1, second)
    replace(0, first)
    assert warehouse.digest(FLOWS_TABLE) == RowDigest.of(first + second)
    replace(0, [])
    assert warehouse.digest(FLOWS_TABLE) == RowDigest.of(second)
    summary = warehouse.window_summary(FLOWS_TABLE, window(1))
    assert (summary.rows, summary.distinct_keys, summary.misplaced) == (1, 1, 0)


def test_values_of_every_type_are_digested(warehouse: Warehouse, tmp_path: Path) -> None:
    day = DAYS.floor(DAYS.start)
    amounts = ["0", "1.50", "-0.000000001", "100", "9" * 29 + "." + "9" * 9, "-12345678901234567890.105000001"]
    rows = [
        event(amount, day.start, amount=Decimal(amount), due=days, score=-0.0, details='{"a": [1.50]}', exploited=True)
        for amount, days in zip(amounts, (-719_162, -1, 0, 1, 19_783, 2_932_896), strict=True)
    ]
    parquet = write_parquet(tmp_path / "events.parquet", rows, EVENTS)
    warehouse.ensure_table(EVENTS_TABLE)
    warehouse.replace_window(Publication(EVENTS_TABLE, day, CheckedFile(parquet, "sha", len(rows)), "live"))
    assert warehouse.digest(EVENTS_TABLE) == RowDigest.of(rows)
