"""Charts of answers: where bars and lines are, for any numbers."""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_server.reports.pages.chart import BARS, POINTS, Chart, chart_of
from flows_platform.reports.declaration import ReportChart

START = datetime(2024, 1, 1, tzinfo=UTC)


def drawn(x: list[Any], y: list[Any], kind: str = "bar", of: pa.DataType | None = None) -> Chart:
    declared = ReportChart.model_validate({"kind": kind, "x": "x", "y": "y"})
    chart = chart_of(declared, pa.table({"x": pa.array(x), "y": pa.array(y, of)}))
    assert chart is not None
    return chart


def test_bars_of_names_begin_at_zero() -> None:
    chart = drawn(["a", "b", "c"], [10, -5, None])
    assert chart.form == "names"
    assert [(bar.label, bar.brief, bar.start, bar.length) for bar in chart.bars] == [
        ("a", "10", 33.33, 66.67),
        ("b", "-5", 0.0, 33.33),
        ("c", "null", 33.33, 0.0),
    ]
    assert chart.summary == "y by x: 3 rows; the highest is 10, at a. The table has the values."


def test_bars_of_times_are_upright_and_inside() -> None:
    chart = drawn([date(2024, month, 1) for month in (1, 2, 3, 6)], [Decimal("1.5"), Decimal(3), None, Decimal(2)])
    assert chart.form == "times"
    assert [bar.label for bar in chart.bars] == ["2024-01-01", "2024-02-01", "2024-06-01"]
    assert chart.bars[0].at == 0
    assert chart.bars[-1].at + chart.bars[-1].width == pytest.approx(100, abs=0.01)
    assert [(bar.start, bar.length) for bar in chart.bars] == [(50.0, 50.0), (0.0, 100.0), (33.33, 66.67)]
    assert [(mark.text, round(mark.at, 1)) for mark in chart.grid] == [
        ("0", 100.0),
        ("1", 66.7),
        ("2", 33.3),
        ("3", 0.0),
    ]


def test_a_line_has_gaps_where_values_are_missing() -> None:
    times = [START + timedelta(hours=hour) for hour in range(5)]
    chart = drawn(times, [0, 4, None, 2, None], "line")
    assert chart.path == "M0.0 1000.0h0L250.0 0.0M750.0 500.0h0"
    assert [mark.text for mark in chart.axis] == ["2024-01-01", "2024-01-01 02:00", "2024-01-01 04:00"]
    assert [mark.anchor for mark in chart.axis] == ["start", "middle", "end"]


def test_what_is_not_drawn_is_counted() -> None:
    names = [str(number) for number in range(BARS + 2)]
    chart = drawn(names, list(range(BARS + 2)))
    assert (len(chart.bars), chart.left_out) == (BARS, 2)
    times = [START + timedelta(minutes=minute) for minute in range(POINTS + 3)]
    assert drawn(times, list(range(POINTS + 3)), "line").left_out == 3


def test_nothing_to_draw_is_no_chart() -> None:
    declared = ReportChart.model_validate({"x": "x", "y": "y"})
    for y in ([], [None], [float("nan")], [float("inf")]):
        table = pa.table({"x": pa.array(["a"] * len(y), pa.string()), "y": pa.array(y, pa.float64())})
        assert chart_of(declared, table) is None


@given(
    st.lists(st.floats(), min_size=1, max_size=30),
    st.sampled_from(["names", "times", "line", "numbers"]),
    st.randoms(use_true_random=False),
)
def test_any_numbers_are_drawn_inside(y: list[float], form: str, shuffled: Any) -> None:
    axes: dict[str, list[Any]] = {
        "names": [str(index) for index in range(len(y))],
        "times": [START + timedelta(hours=index) for index in range(len(y))],
        "line": [START + timedelta(hours=index % 7) for index in range(len(y))],
        "numbers": list(y),
    }
    x = axes[form]
    shuffled.shuffle(x)
    declared = ReportChart.model_validate({"kind": "bar" if form in {"names", "times"} else "line", "x": "x", "y": "y"})
    chart = chart_of(declared, pa.table({"x": pa.array(x), "y": pa.array(y, pa.float64())}))
    if chart is None:
        assert all(abs(value) >= 1e300 or value != value for value in y)  # noqa: PLR0124 - not a number
        return
    shares = [number for bar in chart.bars for number in (bar.start, bar.length, bar.at, bar.width, bar.at + bar.width)]
    shares += [mark.at for mark in (*chart.grid, *chart.axis)]
    shares += [float(number) / 10 for number in re.findall(r"[\d.]+", chart.path.replace("h0", ""))]
    assert all(-0.02 <= share <= 100.02 for share in shares)
    assert all(bar.start + bar.length <= 100.02 for bar in chart.bars)
