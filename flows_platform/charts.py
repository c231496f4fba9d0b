"""Bar charts as PNGs that are small enough to be embedded in markdown.

Dagster shows markdown of less than 1,000 characters inline, and longer text behind a link: hence three colours, text
without antialiasing, and labels only where there is room.
"""

import base64
import io
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from flows_platform.domain.short_numbers import short

INLINE = 1000  # characters; Dagster's UI shows shorter markdown inline

WIDTH, HEIGHT = 380, 120
WIDEST = 76  # width of a bar, at most
BASE = HEIGHT - 18  # bottom of the bars, above their labels
TOP = 16  # of the highest bar, below its value
GAP = 6  # between two texts, at least
NARROW = 3  # bars up to this wide have no gaps
PAPER, TEXT, BAR = range(3)
PALETTE = [*(255, 255, 255), *(80, 92, 112), *(79, 110, 247)]
# Of stacked bars, from below; with four, a picture of 24 bars is not inline.
SERIES = (BAR, 3, 4)
STACKED = [*PALETTE, *(245, 158, 66), *(211, 63, 73)]
KEY = 8  # width and height of a colour beside its name


class Bar(NamedTuple):
    """A value and its label."""

    label: str
    value: float


class Series(NamedTuple):
    """What is stacked in one colour: its name, and a value for each bar."""

    name: str
    values: Sequence[float]


class Text(NamedTuple):
    """A text, and the position of its middle and top."""

    middle: float
    top: float
    text: str


def chart_markdown(title: str, bars: Sequence[Bar]) -> str:
    """The chart as markdown that Dagster shows inline; with the highest value alone where all would make it too long.

    The alternative text holds the title, the number of bars and the highest value, but not the labels: they are data,
    which might be read as markdown.
    """
    alternative = f"{title}: bars, the highest of {len(bars)} is {short(max((bar.value for bar in bars), default=0))}"
    every = _markdown(alternative, bar_chart(bars))
    # guard: a chart is inline
    return every if len(every) < INLINE else _markdown(alternative, bar_chart(bars, every_value=False))


def _markdown(alternative: str, png: bytes) -> str:
    return f"![{alternative}](data:image/png;base64,{base64.b64encode(png).decode()})"


def bar_chart(bars: Sequence[Bar], *, every_value: bool = True) -> bytes:
    """A PNG of upright bars from 0, left to right, with labels below and values above where these fit."""
    image, draw = _paper(PALETTE)
    step = min(WIDTH / max(len(bars), 1), WIDEST)
    values = _bars(draw, bars, step)
    _write(draw, [Text(value.middle, BASE + 3, bar.label) for value, bar in zip(values, bars, strict=True)])
    fit = every_value and all(_length(value.text) + GAP <= step for value in values)
    _write(draw, values if fit else sorted(values, key=lambda value: value.top)[:1])
    return _png(image, bits=2)


def stacked_markdown(title: str, labels: Sequence[str], series: Sequence[Series]) -> str:
    """Stacked bars as markdown that Dagster shows inline; without labels, and roughly, where it would be too long.

    Args:
        title: Of the alternative text, which has no label and no name of a series: they are data.
        labels: Of the bars, from left to right.
        series: From below, as many as `SERIES` at most.
    """
    highest = max(map(sum, zip(*(one.values for one in series), strict=True)), default=0)
    alternative = f"{title}: stacked bars, the highest of {len(labels)} is {short(highest)}"
    every = _markdown(alternative, stacked_chart(labels, series))
    # guard: a stacked chart is inline
    if len(every) >= INLINE:
        return _markdown(alternative, stacked_chart([""] * len(labels), series, pixels=4))
    return every


def stacked_chart(labels: Sequence[str], series: Sequence[Series], *, pixels: int = 1) -> bytes:
    """A PNG of upright stacked bars from 0, with labels below where these fit, and a key above.

    Heights are multiples of `pixels`: fewer different ones take fewer bytes.
    """
    image, draw = _paper(STACKED)
    step = min(WIDTH / max(len(labels), 1), WIDEST)
    heights = [0.0] * len(labels)
    totals = [sum(values) for values in zip(*(one.values for one in series), strict=True)]
    scale = (BASE - TOP) / (max(totals, default=0) or 1)
    for colour, one in zip(SERIES, series, strict=False):
        for index, value in enumerate(one.values):
            below = BASE - round(heights[index] / pixels) * pixels
            heights[index] += value * scale
            above = BASE - round(heights[index] / pixels) * pixels
            if above < below:
                right = round((index + 1) * step) - (3 if step > NARROW else 1)
                draw.rectangle((round(index * step), above, right, below - 1), fill=colour)
    _write(draw, [Text((index + 0.5) * step, BASE + 3, label) for index, label in enumerate(labels)])
    _write_key(draw, [one.name for one in series])
    return _png(image, bits=4)


def _paper(palette: Sequence[int]) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """An empty picture with these colours, and what draws on it."""
    image = Image.new("P", (WIDTH, HEIGHT), PAPER)
    image.putpalette(palette)
    draw = ImageDraw.Draw(image)
    draw.fontmode = "1"
    return image, draw


def _png(image: Image.Image, *, bits: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", bits=bits)
    return file.getvalue()


def _write_key(draw: ImageDraw.ImageDraw, names: Sequence[str]) -> None:
    left = 0.0
    for colour, name in zip(SERIES, names, strict=False):
        draw.rectangle((left, 2, left + KEY, 2 + KEY), fill=colour)
        draw.text((round(left) + KEY + 3, 0), name, fill=TEXT, font=_font())
        left += KEY + 3 + _length(name) + 2 * GAP


def _bars(draw: ImageDraw.ImageDraw, bars: Sequence[Bar], step: float) -> list[Text]:
    """Draw the bars and return their values, positioned above them."""
    highest = max((bar.value for bar in bars), default=0) or 1
    values = []
    for index, bar in enumerate(bars):
        left, right = round(index * step), round((index + 1) * step) - (2 if step > NARROW else 0)
        top = round(BASE - (BASE - TOP) * bar.value / highest)
        if bar.value:
            draw.rectangle((left, top, max(left, right - 1), BASE), fill=BAR)
        values.append(Text((left + right) / 2, top - 14, short(bar.value)))
    return values


def _write(draw: ImageDraw.ImageDraw, texts: list[Text]) -> None:
    """Write every text around its middle, unless it would touch the previous one."""
    free = 0.0
    for text in texts:
        length = _length(text.text)
        left = min(max(text.middle - length / 2, 0), WIDTH - length)
        if text.text and left >= free:
            draw.text((round(left), text.top), text.text, fill=TEXT, font=_font())
            free = left + length + GAP


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(11)


def _length(text: str) -> float:
    return _font().getlength(text)
