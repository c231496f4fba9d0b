"""A file that would spoil the table never becomes a checked file."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from flows_platform.domain.errors import InputError
from flows_platform.domain.schema import TableSchema
from flows_platform.sources.lanl_flows.schema import FLOWS, FLOWS_TABLE
from flows_platform.window_files.check import CheckedFile, check_window_file
from flows_platform.window_files.parquet import opened
from tests.warehouse.flow_rows import Row, flow, window, write_parquet

ROWS = [flow(1, 10800), flow(2, 15000), flow(3, 21599)]


def checked(path: Path, rows: int) -> CheckedFile:
    with opened(path) as file:
        return check_window_file(FLOWS_TABLE, window(1), file, rows)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "window.parquet"


def written(path: Path, rows: Sequence[Row], schema: TableSchema = FLOWS) -> Path:
    return write_parquet(path, rows, schema)


def test_a_good_file_is_checked(path: Path) -> None:
    found = checked(written(path, ROWS), 3)
    assert (found.location, found.rows, len(found.sha256)) == (path, 3, 64)
    assert checked(written(path, []), 0).rows == 0


@pytest.mark.parametrize("time", [10799, 21600, 2**63 - 1, -(2**63)])
def test_rows_outside_the_window_are_refused(path: Path, time: int) -> None:
    written(path, [*ROWS, flow(9, time)])
    with pytest.raises(InputError, match=f"holds time {time}, outside the window 2014-01-01-03:00"):
        checked(path, 4)


def test_a_file_with_other_columns_other_rows_or_none_at_all_is_refused(path: Path) -> None:
    written(path, ROWS)
    with pytest.raises(InputError, match="holds 3 rows, but 5 were verified"):
        checked(path, 5)
    written(path, [row[:9] for row in ROWS], replace(FLOWS, columns=FLOWS.columns[:9]))
    with pytest.raises(InputError, match="does not have the columns of flows"):
        checked(path, 3)
    path.write_text("id,time\n")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        checked(path, 3)
    path.unlink()
    with pytest.raises(InputError, match="cannot be read: No such file"):
        checked(path, 3)
