"""Bar charts: their bars and labels, and that they stay small enough to be shown inline."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from flows_platform.charts import (
    BAR,
    BASE,
    INLINE,
    KEY,
    SERIES,
    TEXT,
    TOP,
    WIDTH,
    Bar,
    Series,
    bar_chart,
    chart_markdown,
    stacked_chart,
    stacked_markdown,
)

HOURS = [Bar(f"01-0{1 + hour // 24}" if hour % 24 == 0 else "", 900 + hour * 7919 % 1000) for hour in range(72)]
COMPUTERS = [Bar(f"C{number}", 20_000 - number) for number in (17693, 1065, 625, 5074, 11, 2)]


def pixels(bars: list[Bar]) -> np.ndarray:
    with Image.open(io.BytesIO(bar_chart(bars))) as image:
        assert image.mode == "P"
        return np.array(image)


def test_heights_are_in_proportion_and_the_highest_reaches_the_top() -> None:
    drawn = pixels([Bar("a", 100), Bar("b", 50), Bar("c", 0)])
    columns = (drawn == BAR).sum(axis=0)
    heights = sorted({int(height) for height in columns}, reverse=True)
    assert heights == [BASE - TOP + 1, (BASE - TOP) // 2 + 1, 0]


def test_every_bar_has_its_place_also_where_they_are_narrow() -> None:
    drawn = pixels([Bar("", 5)] * 168)
    assert (drawn == BAR).any(axis=0).sum() == WIDTH


def test_labels_and_values_are_written_and_none_over_another() -> None:
    few, many = (pixels([Bar("C17693", 12_345)] * number) for number in (4, 40))
    assert (few[BASE + 1 :] == TEXT).sum() > 0 < (few[:TOP] == TEXT).sum()
    assert (many[BASE + 1 :] == TEXT).sum() < 40 / 4 * (few[BASE + 1 :] == TEXT).sum()


def test_nothing_to_draw_is_an_empty_picture() -> None:
    assert (pixels([]) == 0).all()
    assert (pixels([Bar("none", 0)]) == BAR).sum() == 0


@pytest.mark.parametrize(
    ("bars", "alternative"),
    [
        (HOURS, "busiest computers: bars, the highest of 72 is 1.9k"),
        (COMPUTERS, "busiest computers: bars, the highest of 6 is 20k"),
        ([Bar("none", 0)], "busiest computers: bars, the highest of 1 is 0"),
        ([], "busiest computers: bars, the highest of 0 is 0"),
    ],
    ids=["hours", "computers", "zero", "empty"],
)
def test_a_chart_is_inline_and_says_what_it_shows(bars: list[Bar], alternative: str) -> None:
    markdown = chart_markdown("busiest computers", bars)
    assert len(markdown) < INLINE
    head, _, data = markdown.removesuffix(")").partition("base64,")
    assert head == f"![{alternative}](data:image/png;"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        image.verify()


def stacked(labels: list[str], series: list[Series]) -> np.ndarray:
    with Image.open(io.BytesIO(stacked_chart(labels, series))) as image:
        return np.array(image)


def test_stacked_bars_are_in_proportion() -> None:
    drawn = stacked(["a", "b"], [Series("low", [60, 0]), Series("high", [40, 50])])
    low, high = ((drawn[TOP:BASE] == colour).sum(axis=0) for colour in SERIES[:2])
    assert {int(height) for height in low} == {round((BASE - TOP) * 0.6), 0}
    assert {int(height) for height in high} == {round((BASE - TOP) * 0.4), round((BASE - TOP) * 0.5), 0}
    assert (drawn[:TOP] == SERIES[0]).sum() == (KEY + 1) ** 2  # of the key
    assert (drawn[BASE + 1 :] == TEXT).sum() > 0


@pytest.mark.parametrize("highest", [0, 1, 1000])
def test_a_stacked_chart_is_inline(highest: int) -> None:
    dice = np.random.default_rng(7)
    labels = [f"{hour:02}:00" if hour % 3 == 0 else "" for hour in range(24)]
    series = [Series("x" * 12, dice.integers(0, highest + 1, 24).tolist()) for _ in SERIES]
    markdown = stacked_markdown("rows by hour and severity", labels, series)
    assert len(markdown) < INLINE
    assert markdown.startswith("![rows by hour and severity: stacked bars, the highest of 24 is ")
