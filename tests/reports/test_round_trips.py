"""Every value that a parameter may have reaches the embedded warehouse, and comes back unchanged."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from flows_platform.domain.schema import INT64_MAX, INT64_MIN
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.reports.engine import ReportEngine
from flows_platform.reports.parameters import BadParameter, values_of
from flows_platform.reports.values import as_text
from tests.faults.scale import scaled

from .conftest import NEWEST, changed

# Texts of URLs; most are values of the type.
TEXTS: Mapping[str, st.SearchStrategy[str]] = {
    "int64": st.integers(INT64_MIN - 1, INT64_MAX + 1).map(str),
    "float64": st.floats(allow_nan=False, allow_infinity=False).map(repr),
    "numeric": st.decimals(-(10**29), 10**29, places=9).map(lambda number: f"{number:f}"),
    "bool": st.sampled_from(["true", "false"]),
    "string": st.text(max_size=256),
    "date": st.dates().map(date.isoformat),
    "timestamp": st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.isoformat().replace("+00:00", "Z")),
}
REPORT = ReportDeclaration.model_validate(
    changed(
        parameters=[{"name": f"p_{kind}", "type": kind} for kind in TEXTS],
        longest=None,
        sql=f"SELECT {', '.join(f'@p_{kind} AS c_{kind}' for kind in TEXTS)} FROM orders ORDER BY id LIMIT 1",
        columns=[{"name": f"c_{kind}", "type": kind} for kind in TEXTS],
    )
)
EXTREMES: tuple[dict[str, str], ...] = (
    {
        "int64": str(INT64_MIN),
        "float64": "5e-324",
        "numeric": "-99999999999999999999999999999.999999999",
        "bool": "false",
        "string": "",
        "date": "0001-01-01",
        "timestamp": "0001-01-01T00:00:00Z",
    },
    {
        "int64": str(INT64_MAX),
        "float64": "-1.7976931348623157e308",
        "numeric": "0.000000001",
        "bool": "true",
        "string": "\\'\"`\u2028\U0001f600;--",
        "date": "9999-12-31",
        "timestamp": "9999-12-31T23:59:59.999999Z",
    },
)


def check(engine: ReportEngine, texts: Mapping[str, str]) -> None:
    values = values_of(REPORT.parameters, {f"p_{kind}": text for kind, text in texts.items()}, NEWEST)
    (row,) = engine.run(REPORT, values).table.to_pylist()
    assert {name.removeprefix("c_"): shown(value) for name, value in row.items()} == {
        name.removeprefix("p_"): shown(value) for name, value in values.items()
    }


def shown(value: Any) -> object:
    """Equal values of one type as one text; -0.0 and 0.0 are equal."""
    if isinstance(value, bool | float):
        return value
    assert isinstance(value, int | Decimal | str | date | datetime)
    return as_text(value)


@pytest.mark.parametrize("texts", EXTREMES, ids=["least", "most"])
def test_extremes(engine: ReportEngine, texts: dict[str, str]) -> None:
    check(engine, texts)


@pytest.mark.faults
def test_values(engine: ReportEngine) -> None:
    asked = 0

    @seed(0)
    @settings(
        deadline=None,
        database=None,
        max_examples=scaled(full=500, ci=12),
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.fixed_dictionaries(dict(TEXTS)))
    def ask(texts: dict[str, str]) -> None:
        nonlocal asked
        try:
            check(engine, texts)
            asked += 1
        except BadParameter:
            pass  # one of the values is not allowed

    ask()
    assert asked
