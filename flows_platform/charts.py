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


class Bar(NamedTuple):
    """A value and its label."""

    label: str
    value: float


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
    image = Image.new("P", (WIDTH, HEIGHT), PAPER)
    image.putpalette(PALETTE)
    draw = ImageDraw.Draw(image)
    draw.fontmode = "1"
    step = min(WIDTH / max(len(bars), 1), WIDEST)
    values = _bars(draw, bars, step)
    _write(draw, [Text(value.middle, BASE + 3, bar.label) for value, bar in zip(values, bars, strict=True)])
    fit = every_value and all(_length(value.text) + GAP <= step for value in values)
    _write(draw, values if fit else sorted(values, key=lambda value: value.top)[:1])
    file = io.BytesIO()
    image.save(file, "PNG", bits=2)
    return file.getvalue()


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
