"""A warehouse in a dataset of its own on the shared emulator, and publications for it."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from uuid import uuid4

import pytest
from google.cloud import bigquery

from flows_platform.domain.windows import Window
from flows_platform.local.emulator import Emulator
from flows_platform.sources.lanl_flows.schema import FLOWS_TABLE
from flows_platform.warehouse.replace_window import Publication
from flows_platform.warehouse.warehouse import Warehouse, emulator_client
from flows_platform.window_files.check import CheckedFile
from tests.warehouse.flow_rows import Row, write_parquet


@pytest.fixture
def client(emulator: Emulator) -> Iterator[bigquery.Client]:
    with emulator_client(emulator.url, "local", "US", emulator.key_file) as client:
        yield client


@pytest.fixture
def warehouse(client: bigquery.Client, tmp_path: Path) -> Warehouse:
    """A warehouse with an empty table of flows; failures are not retried."""
    warehouse = Warehouse(client, f"test_{uuid4().hex}", "US", tmp_path / "locks", timeout=60.0, attempts=1)
    warehouse.ensure_table(FLOWS_TABLE)
    return warehouse


@pytest.fixture
def publication(tmp_path: Path) -> Callable[[Window, Sequence[Row]], Publication]:
    """Creates a window's file and its publication."""

    def made(window: Window, rows: Sequence[Row]) -> Publication:
        path = write_parquet(tmp_path / f"{uuid4().hex}.parquet", rows)
        return Publication(FLOWS_TABLE, window, CheckedFile(path, "sha", len(rows)), "Run 1")

    return made
