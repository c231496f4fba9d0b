"""The shipped reports: each runs, and answers exactly what the raw rows give, for random values."""

from collections.abc import Iterator
from random import Random

import duckdb
import pytest

from flows_platform.local.emulator import Emulator
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.reports.engine import ReportEngine
from flows_platform.reports.parameters import values_of
from tests.faults.scale import scaled
from tests.reports.oracle import ORACLES
from tests.reports.shipped_tables import raw_rows, shipped, warehouse_of

REPORTS, _ = shipped()
ROUNDS = scaled(1000, 45)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    with raw_rows(tmp_path_factory.mktemp("raw")) as connection:
        yield connection


@pytest.fixture(scope="module")
def engine(
    raw: duckdb.DuckDBPyConnection, emulator: Emulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ReportEngine]:
    with warehouse_of(raw, emulator, tmp_path_factory.mktemp("locks")) as warehouse:
        yield ReportEngine(warehouse.client, warehouse.dataset, warehouse.location)


def test_every_shipped_report_has_an_oracle() -> None:
    assert set(REPORTS) == set(ORACLES)


@pytest.mark.parametrize("report", REPORTS.values(), ids=list(REPORTS))
def test_the_columns_are_the_declared_ones(engine: ReportEngine, report: ReportDeclaration) -> None:
    assert engine.column_faults(report) == []


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("name", REPORTS)
def test_answers_are_those_of_the_raw_rows(engine: ReportEngine, raw: duckdb.DuckDBPyConnection, name: str) -> None:
    report, (expected, drawn), random = REPORTS[name], ORACLES[name], Random(name)
    filled = 0
    for _ in range(-(-ROUNDS // len(REPORTS))):
        given = drawn(random)
        values = values_of(report.parameters, given, None)
        rows = [tuple(row.values()) for row in engine.run(report, values).table.to_pylist()]
        assert rows == expected(raw, values), given
        filled += bool(rows)
    assert filled
