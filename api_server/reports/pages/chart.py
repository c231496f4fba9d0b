"""The chart of an answer, which a template draws as SVG. Positions are in percent, so that texts keep their size.

Bars are horizontal if they belong to names, and vertical if they belong to times.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import pairwise
from math import ceil, floor, log10
from typing import TYPE_CHECKING, Any, NamedTuple

from flows_platform.domain.short_numbers import short
from flows_platform.reports.declaration import ReportChart
from flows_platform.reports.values import as_text

if TYPE_CHECKING:
    import pyarrow as pa

BARS = 40  # most bars with names
POINTS = 2000  # most points in time: more would be closer together than pixels
LINES = 4  # of the grid, approximately
SIDE = 1000  # side of the square in which a line is drawn
MIDDLE = 50
EDGE = 20.0  # percent; labels that are closer to a side are aligned with it
STEPS = (1, 2, 2.5, 5, 10)
LARGEST = 1e300  # larger numbers are not drawn, since differences between them could overflow


class Bar(NamedTuple):
    """A bar.

    Args:
        label: Its label.
        value: Its value, exactly.
        brief: Its value, shortened.
        start: Where it starts in the direction of its length, in percent.
        length: Its length, in percent.
        at: Where it starts along the axis, in percent.
        width: Its width along the axis, in percent.
    """

    label: str
    value: str
    brief: str
    start: float
    length: float
    at: float = 0.0
    width: float = 0.0


class Mark(NamedTuple):
    """A text at a position in percent; `anchor` is SVG's `text-anchor`."""

    text: str
    at: float
    anchor: str = "start"


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart.

    Args:
        form: `names` for horizontal bars, `times` for vertical bars, or `line`.
        title: What is drawn.
        summary: A description with the highest value, for screen readers.
        bars: The bars, if the form has any.
        path: The path of a line, in a square of side `SIDE`.
        grid: The lines of the grid, with their labels.
        axis: The labels of the x axis.
        left_out: Number of rows at the end that are not drawn.
    """

    form: str
    title: str
    summary: str
    bars: Sequence[Bar] = ()
    path: str = ""
    grid: Sequence[Mark] = ()
    axis: Sequence[Mark] = ()
    left_out: int = 0


class Point(NamedTuple):
    """A row of the chart.

    Args:
        x: Its value on the x axis.
        label: The same as a text.
        y: The value that is drawn; None for NULL.
        text: The same as a text, exactly.
    """

    x: Any
    label: str
    y: float | None
    text: str

    @property
    def brief(self) -> str:
        return self.text if self.y is None else short(self.y)


def chart_of(declared: ReportChart, table: "pa.Table") -> Chart | None:
    """The chart of an answer; None if it has no values to draw."""
    form = _form(declared, table)
    most = BARS if form == "names" else POINTS
    first = table.slice(0, most)
    pairs = zip(first.column(declared.x).to_pylist(), first.column(declared.y).to_pylist(), strict=True)
    points = [_point(x, y) for x, y in pairs]
    known = [point for point in points if point.y is not None]
    if not known:
        return None
    highest = max(known, key=lambda point: point.y or 0.0)
    title = f"{declared.y} by {declared.x}"
    summary = (
        f"{title}: {len(points):,} rows; the highest is {highest.text}, at {highest.label}. The table has the values."
    )
    chart = Chart(form, title, summary, left_out=max(0, table.num_rows - most))
    values = [point.y or 0.0 for point in known]
    if form == "names":
        return replace(chart, bars=_named(points, Scale(min(0.0, *values), max(0.0, *values) or 1.0, 1)))
    scale, spread = Scale.over(values), _spread(points)
    chart = replace(chart, grid=scale.grid(), axis=_axis(points, spread, _width(spread) if form == "times" else 0.0))
    if form == "line":
        return replace(chart, path=_path(points, spread, scale))
    return replace(chart, bars=_upright(points, spread, scale))


def _form(declared: ReportChart, table: "pa.Table") -> str:
    if declared.kind == "line":
        return "line"
    return "times" if str(table.schema.field(declared.x).type).startswith(("timestamp", "date")) else "names"


def _point(x: Any, y: Any) -> Point:
    label = "null" if x is None else _brief(x)
    return Point(x, label, _drawn(y), "null" if y is None else as_text(y))


def _brief(x: Any) -> str:
    """A value of the x axis as a label; a time at midnight is written as a date."""
    if isinstance(x, datetime):
        at = x.astimezone(UTC)
        return at.date().isoformat() if at.time() == time() else f"{at:%Y-%m-%d %H:%M}"
    return as_text(x)


@dataclass(frozen=True, slots=True)
class Scale:
    """A scale from `low` to `high`, which includes 0, with a line at every step."""

    low: float
    high: float
    step: float

    @classmethod
    def over(cls, values: Sequence[float]) -> "Scale":
        """A scale that includes these values and ends at whole steps."""
        low, high = min(0.0, *values), max(0.0, *values)
        if high - low < 1 / LARGEST:
            return cls(0, 1, 1)
        step = _step((high - low) / LINES)
        return cls(floor(low / step) * step, ceil(high / step) * step, step)

    def share(self, value: float) -> float:
        """The position of a value, in percent from the low end."""
        return 100 * (value - self.low) / (self.high - self.low)

    def grid(self) -> list[Mark]:
        """A labelled line at every step; positions are from the top."""
        count = round((self.high - self.low) / self.step)
        values = [self.low + index * self.step for index in range(count + 1)]
        return [Mark(short(value), 100 - self.share(value)) for value in values]


def _step(least: float) -> float:
    """The smallest round number that is not below this one."""
    power = 10.0 ** floor(log10(least))
    return next(power * step for step in STEPS if power * step >= least * 0.999)


def _named(points: Sequence[Point], scale: Scale) -> list[Bar]:
    zero = scale.share(0)
    ends = [scale.share(point.y or 0.0) for point in points]
    return [
        Bar(point.label, point.text, point.brief, round(min(zero, end), 2), round(abs(end - zero), 2))
        for point, end in zip(points, ends, strict=True)
    ]


def _upright(points: Sequence[Point], spread: Sequence[float], scale: Scale) -> list[Bar]:
    """Vertical bars whose width is four fifths of the shortest distance between two; none crosses a side."""
    width = _width(spread)
    zero = scale.share(0)
    found = []
    for point, at in zip(points, spread, strict=True):
        if point.y is not None:
            end, left = scale.share(point.y), at * (100 - width) / 100
            bar = Bar(point.label, point.text, point.brief, round(100 - max(zero, end), 2), round(abs(end - zero), 2))
            found.append(bar._replace(at=round(left, 3), width=round(width, 3)))
    return found


def _width(spread: Sequence[float]) -> float:
    gaps = [after - before for before, after in pairwise(sorted(spread)) if after > before]
    return min(gaps, default=20.0) * 0.8


def _spread(points: Sequence[Point]) -> list[float]:
    """The positions of points along the x axis, in percent: to scale for times and numbers, else evenly spaced."""
    numbers = [_number(point.x) for point in points]
    known = [number for number in numbers if number is not None]
    if len(known) < len(points) or min(known) == max(known):
        return [100 * (index + 0.5) / len(points) for index in range(len(points))]
    low, high = min(known), max(known)
    return [100 * (number - low) / (high - low) for number in known]


def _number(x: Any) -> float | None:
    if isinstance(x, datetime):
        return x.timestamp()
    return float(x.toordinal()) if isinstance(x, date) else _drawn(x)


def _drawn(value: Any) -> float | None:
    number = float(value) if isinstance(value, int | float | Decimal) else None
    return number if number is not None and abs(number) < LARGEST else None


def _axis(points: Sequence[Point], spread: Sequence[float], width: float) -> list[Mark]:
    """The labels of the first row, of the last one, and of a middle one if it is far enough from both."""
    middle = min(range(len(points)), key=lambda index: abs(spread[index] - MIDDLE))
    chosen = {0, len(points) - 1} | ({middle} if abs(spread[middle] - MIDDLE) < MIDDLE / 2 else set())
    centres = {index: spread[index] * (100 - width) / 100 + width / 2 for index in sorted(chosen)}
    return [_mark(points[index].label, round(at, 2)) for index, at in centres.items()]


def _mark(label: str, at: float) -> Mark:
    """A label that is centred at its position, or aligned with the start or the end of the axis."""
    if at < EDGE:
        return Mark(label, 0, "start")
    return Mark(label, 100, "end") if at > 100 - EDGE else Mark(label, at, "middle")


def _path(points: Sequence[Point], spread: Sequence[float], scale: Scale) -> str:
    """The path of a line through the points. A NULL is a gap, and a value between two gaps is a dot."""
    words, open_ = [], False
    for point, at in zip(points, spread, strict=True):
        if point.y is not None:
            x, y = at * SIDE / 100, SIDE - scale.share(point.y) * SIDE / 100
            words.append(f"{'L' if open_ else 'M'}{x:.1f} {y:.1f}{'' if open_ else 'h0'}")
        open_ = point.y is not None
    return "".join(words)
