"""What a window and its table look like: charts and first rows, as metadata. What is counted, stores count.

Nothing is decided by it, and none of it may cost a window: a query for it that fails is told in its place.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from flows_platform.declared import Declared
from flows_platform.domain.errors import ConfigurationError, PlatformError
from flows_platform.domain.schema import WarehouseTable
from flows_platform.domain.windows import Window
from flows_platform.orchestration.metadata.figures import Metadata
from flows_platform.orchestration.metadata.first_rows import ROWS, clipped, rows_shown
from flows_platform.runtime.imports import CHARTS, required

if TYPE_CHECKING:
    from flows_platform.warehouse.warehouse import Warehouse

BARS = 6  # of the most frequent values
LABEL = 12  # characters under a bar
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SHORT_WINDOW = 6 * HOUR  # up to it a table is shown by the hour, else by the day
RECENT = {HOUR: 3 * DAY, DAY: 60 * DAY}  # how far back
STEPS = [timedelta(minutes=minutes) for minutes in (1, 5, 10, 30, 60, 180, 360, 1440, 7 * 1440, 30 * 1440, 365 * 1440)]
RECENTLY = "recent_"  # before a chart's name: it shows more than the window
SLICES = 24  # of a window, at most

type Count = tuple[str | None, int]  # a value as text, None where there is none, and its rows
type Slices = list[tuple[datetime, int]]  # starts, one after the other without gaps, and their rows


class Chart(Declared):
    """A chart of a column's most frequent values, beside the one of rows by time that every table has."""

    # Of a table that is summed up rather than counted: the sums of the values, the highest first.

    name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="Its name on the pages.")
    by: str = Field(description="The column.")
    labels: dict[str, str] = Field({}, description="Values in other words.")


def file_charts(table: WarehouseTable, charts: Sequence[Chart], window: Window, path: Path) -> Metadata:
    """Charts and first rows of a staged file."""
    # Imported here: pyarrow takes a tenth of a second that loading the definitions must not.
    from flows_platform.window_files.profile import first_rows, spread_of  # noqa: PLC0415

    spread = spread_of(path, table.schema, window, slice_of(window), {chart.by for chart in charts})
    counted = {chart.name: spread.values[chart.by].top(BARS) for chart in charts}
    drawn = _charts(charts, spread.slices, counted, "rows")
    return drawn | {"first_rows": rows_shown(table.schema.columns, first_rows(path, ROWS))}


def table_charts(
    table: WarehouseTable, charts: Sequence[Chart], window: Window, warehouse: "Warehouse", sum_of: str = ""
) -> Metadata:
    """Charts of the table up to the window's end, over days, and the window's first rows: two queries.

    The charts are named `recent_…`, since they show more than the window. They count rows, or add up the column
    `sum_of`. Where a query fails its error stands instead: the window is loaded already.
    """
    # guard: a picture costs no window
    try:
        drawn = _charts(charts, *_recent(table, charts, window, warehouse, sum_of), sum_of or "rows", RECENTLY)
        return drawn | _rows(table, window, warehouse)
    except PlatformError as error:
        return {"pictures": dg.MetadataValue.text(f"none: {error}")}


def _recent(
    table: WarehouseTable, charts: Sequence[Chart], window: Window, warehouse: "Warehouse", sum_of: str
) -> tuple[Slices, dict[str, list[Count]]]:
    """The rows of the last days by time, and by each chart's values."""
    from flows_platform.warehouse.replace_window import bounds_of  # noqa: PLC0415 - loads BigQuery's client
    from flows_platform.warehouse.sql import BY_TIME, spread  # noqa: PLC0415 - as above

    step = HOUR if window.end - window.start <= SHORT_WINDOW else DAY
    sql = spread(table, step, [chart.by for chart in charts], BARS, sum_of)
    recent = Window(window.end - RECENT[step], window.end)
    rows = warehouse.select(sql, bounds_of(recent), f"charting {table.name}")
    found: dict[str, list[Count]] = {}
    for row in rows:
        found.setdefault(row["of"], []).append((row["value"], row["number"] or 0))
    times = {datetime.fromtimestamp(int(value or 0), UTC): count for value, count in found.get(BY_TIME, [])}
    ordered = {each.name: sorted(found.get(each.by, []), key=lambda pair: -pair[1]) for each in charts}
    return _gapless(times, step, window.end), ordered


def _gapless(times: Mapping[datetime, int], step: timedelta, end: datetime) -> Slices:
    """All slices from the first that has rows to the end, those without any too."""
    first = min(times, default=end)
    number = -(-(end - first) // step)
    return [(first + place * step, times.get(first + place * step, 0)) for place in range(number)]


def _rows(table: WarehouseTable, window: Window, warehouse: "Warehouse") -> Metadata:
    from flows_platform.warehouse.replace_window import bounds_of  # noqa: PLC0415 - loads BigQuery's client
    from flows_platform.warehouse.sql import first_rows  # noqa: PLC0415 - as above

    sql = first_rows(table, ROWS)
    rows = warehouse.select(sql, bounds_of(window), f"looking at {table.name}")
    return {"first_rows": rows_shown(table.columns, [dict(row.items()) for row in rows])}


def _charts(
    charts: Sequence[Chart], slices: Slices, counted: Mapping[str, list[Count]], of: str, prefix: str = ""
) -> Metadata:
    try:
        with required(CHARTS):
            from flows_platform.charts import Bar, chart_markdown  # noqa: PLC0415 - Pillow, only where it draws
    except ConfigurationError as error:
        return {"pictures": dg.MetadataValue.text(f"none: {error}")}
    drawn = {f"{prefix}{of}_by_time": [Bar(_clock(start, slices), count) for start, count in slices]}
    for chart in charts:
        drawn[prefix + chart.name] = [Bar(_label(chart, value), count) for value, count in counted[chart.name]]
    return {name: dg.MetadataValue.md(chart_markdown(name.replace("_", " "), bars)) for name, bars in drawn.items()}


def _label(chart: Chart, value: str | None) -> str:
    return "none" if value is None else clipped(chart.labels.get(value, value), LABEL)


def _clock(start: datetime, slices: Slices) -> str:
    """What stands under a slice, in UTC: hours, over more than a day dates; nothing between round ones."""
    span, step = slices[-1][0] - slices[0][0], slices[1 % len(slices)][0] - slices[0][0]
    if span < DAY:
        round_one = not start.minute and (span < SHORT_WINDOW or start.hour % 3 == 0)
        return f"{start:%H:%M}" if round_one else ""
    round_one = not start.hour if step < DAY else step > DAY or start.day % 7 == 1
    return f"{start:%m-%d}" if round_one and not start.minute else ""


def slice_of(window: Window) -> timedelta:
    """The shortest usual length of which at most `SLICES` make up the window."""
    length = window.end - window.start
    return next((step for step in STEPS if length / step <= SLICES), STEPS[-1])
