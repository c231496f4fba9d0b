"""A bar chart as a PNG so small that it stands in a page's text. What is counted, and where it is shown, is others'.

Dagster shows markdown of less than 1,000 characters in place, and longer text behind a link: hence three colours, text
without soft edges, and labels only where there is room.
"""

import base64
import io
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

IN_PLACE = 1000  # characters of markdown from which on Dagster's UI puts it behind a link

WIDTH, HEIGHT = 380, 120
WIDEST = 76  # of a bar
BASE = HEIGHT - 18  # where bars stand, above their labels
TOP = 16  # of the highest bar, below its value
GAP = 6  # between two texts, at least
NARROW = 3  # bars up to this wide stand without gaps
PAPER, TEXT, BAR = range(3)
PALETTE = [*(255, 255, 255), *(80, 92, 112), *(79, 110, 247)]
UNITS = ("", "k", "M", "G", "T", "P", "E")


class Bar(NamedTuple):
    """A value, and what it is of."""

    label: str
    value: int


class Text(NamedTuple):
    """A text, and where its middle and top are."""

    middle: float
    top: float
    text: str


def chart_markdown(title: str, bars: Sequence[Bar]) -> str:
    """The chart as markdown that is shown in place; with the highest value alone, where all values are too much.

    A screen reader says its `title`, how many bars it has and the highest value. Not the labels: they are data, which
    markdown would read as its own.
    """
    told = f"{title}: bars, the highest of {len(bars)} is {short(max((bar.value for bar in bars), default=0))}"
    every = _markdown(told, bar_chart(bars))
    # guard: a chart stands in the page
    return every if len(every) < IN_PLACE else _markdown(told, bar_chart(bars, every_value=False))


def _markdown(told: str, png: bytes) -> str:
    return f"![{told}](data:image/png;base64,{base64.b64encode(png).decode()})"


def bar_chart(bars: Sequence[Bar], *, every_value: bool = True) -> bytes:
    """A PNG of upright bars from 0, left to right, with labels below and values above where these fit."""
    image = Image.new("P", (WIDTH, HEIGHT), PAPER)
    image.putpalette(PALETTE)
    draw = ImageDraw.Draw(image)
    draw.fontmode = "1"
    step = min(WIDTH / max(len(bars), 1), WIDEST)
    values = _bars(draw, bars, step)
    _write(draw, [Text(value.middle, BASE + 3, bar.label) for value, bar in zip(values, bars, strict=True)])
    fit = every_value and all(_length(value.text) + GAP <= step for value in values)
    _write(draw, values if fit else sorted(values, key=lambda each: each.top)[:1])
    file = io.BytesIO()
    image.save(file, "PNG", bits=2)
    return file.getvalue()


def _bars(draw: ImageDraw.ImageDraw, bars: Sequence[Bar], step: float) -> list[Text]:
    """Draws the bars; gives their values, each above its own."""
    highest = max((bar.value for bar in bars), default=0) or 1
    values = []
    for place, bar in enumerate(bars):
        left, right = round(place * step), round((place + 1) * step) - (2 if step > NARROW else 0)
        top = round(BASE - (BASE - TOP) * bar.value / highest)
        if bar.value:
            draw.rectangle((left, top, max(left, right - 1), BASE), fill=BAR)
        values.append(Text((left + right) / 2, top - 14, short(bar.value)))
    return values


def _write(draw: ImageDraw.ImageDraw, texts: list[Text]) -> None:
    """Each text around its middle, unless it would touch the one before."""
    free = 0.0
    for each in texts:
        length = _length(each.text)
        left = min(max(each.middle - length / 2, 0), WIDTH - length)
        if each.text and left >= free:
            draw.text((round(left), each.top), each.text, fill=TEXT, font=_font())
            free = left + length + GAP


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(11)


def _length(text: str) -> float:
    return _font().getlength(text)


def short(number: int) -> str:
    """A number in at most four figures and a unit: 12,345 is 12.3k."""
    size, place = float(number), 0
    while size >= 999.5 and place < len(UNITS) - 1:  # noqa: PLR2004 - would be written as 1000
        size, place = size / 1000, place + 1
    text = f"{size:.1f}" if place and size < 99.95 else f"{size:.0f}"  # noqa: PLR2004 - likewise
    return text.removesuffix(".0") + UNITS[place]
