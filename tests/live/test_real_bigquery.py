"""Windows on real BigQuery, through dagster-gcp's resource. Runs only where FLOWS_TEST_BIGQUERY_PROJECT is set.

FLOWS_BIGQUERY_PROJECT=my-project .venv/bin/pytest tests/live
"""

import os
from collections.abc import Iterator, Sequence
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
