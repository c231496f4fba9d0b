"""Charts and first rows of windows and tables, as metadata; a failing query never fails the window."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from flows_platform.declared import NAME, Declared
from flows_platform.domain.errors import ConfigurationError, PlatformError
from flows_platform.domain.schema import WarehouseTable
from flows_platform.domain.windows import Window
from flows_platform.orchestration.metadata.figures import Metadata
from flows_platform.orchestration.metadata.first_rows import ROWS, clipped, rows_shown
from flows_platform.reports.declaration import ReportDeclaration
from flows_platform.runtime.imports import CHARTS, required

if TYPE_CHECKING:
    import pyarrow as pa

    from flows_platform.warehouse.warehouse import Warehouse
    from flows_platform.window_files.profile import Profile, ProfilePlan

BARS = 6  # the most frequent values of a column
LABEL = 12  # characters under a bar, at most
FIVE_MINUTES, HOUR, DAY = timedelta(minutes=5), timedelta(hours=1), timedelta(days=1)
SHORT_WINDOW = 6 * HOUR  # up to this length a table's chart is by hour, beyond it by day
RECENT = {HOUR: 3 * DAY, DAY: 60 * DAY}  # the time that a chart by hour or by day covers
STEPS = [timedelta(minutes=minutes) for minutes in (1, 5, 10, 30, 60, 180, 360, 1440, 7 * 1440, 30 * 1440, 365 * 1440)]
RECENTLY = "recent_"  # prefix of charts that show more than the window
SLICES = 24  # bars for a window, at most
STACKED = 3  # values in one bar, at most
REPORT_BARS = 60  # of a report: its first rows

type Count = tuple[str | None, int]  # a value as text, or None, and its number of rows
type Slices = list[tuple[datetime, int]]  # starts in order, without gaps, and their numbers of rows


class Chart(Declared):
    """A chart of a column's most frequent values, besides the chart of rows by time that every table has."""

    # If the table's chart sums a column instead of counting rows: the values with the highest sums.

    name: str = Field(pattern=NAME, description="The chart's name on Dagster's pages.")
    by: str = Field(description="The column.")
    labels: dict[str, str] = Field({}, description="Labels to show instead of values.")


def report_chart(report: ReportDeclaration, table: "pa.Table") -> Metadata:
    """The chart that a report declares, of the first rows of its answer."""
    if report.chart is None or not table.num_rows:
        return {}
    shown = table.slice(0, REPORT_BARS).select([report.chart.x, report.chart.y])
    labels, values = (column.to_pylist() for column in shown.columns)
    try:
        with required(CHARTS):
            from flows_platform.charts import Bar, chart_markdown  # noqa: PLC0415 - as below
    except ConfigurationError as error:
        return {"chart": dg.MetadataValue.text(f"none: {error}")}
    bars = [Bar(clipped(_text(label), LABEL), float(value or 0)) for label, value in zip(labels, values, strict=True)]
    return {"chart": dg.MetadataValue.md(chart_markdown(report.chart.y.replace("_", " "), bars))}


def _text(label: object) -> str:
    if isinstance(label, datetime):
        return f"{label:%m-%d %H:%M}" if label.time() != datetime.min.time() else f"{label:%Y-%m-%d}"
    return "none" if label is None else str(label)


def profile_plan(charts: Sequence[Chart], window: Window) -> "ProfilePlan":
    """The profile of a window file that the charts show."""
    # Imported here: pyarrow takes a tenth of a second, too long for loading the definitions.
    from flows_platform.window_files.profile import ProfilePlan  # noqa: PLC0415

    return ProfilePlan(window, slice_of(window), frozenset(chart.by for chart in charts), ROWS)


def file_charts(table: WarehouseTable, charts: Sequence[Chart], profile: "Profile") -> Metadata:
    """Charts and first rows of a window file."""
    counted = {chart.name: profile.values[chart.by].top(BARS) for chart in charts}
    drawn = _charts(charts, profile.slices, counted, "rows")
    return drawn | {"first_rows": rows_shown(table.schema.columns, profile.first_rows)}


def table_charts(
    table: WarehouseTable, charts: Sequence[Chart], window: Window, warehouse: "Warehouse", sum_of: str = ""
) -> Metadata:
    """Charts of the table's last days up to the window's end, and the window's first rows: two queries.

    The charts are named `recent_…`, since they show more than the window. They count rows, or sum the column `sum_of`.
    If a query fails, its error is shown instead: the window is already loaded.
    """
    # guard: a failing chart fails no window
    try:
        drawn = _charts(charts, *_recent(table, charts, window, warehouse, sum_of), sum_of or "rows", RECENTLY)
        return drawn | _rows(table, window, warehouse)
    except PlatformError as error:
        return {"pictures": dg.MetadataValue.text(f"none: {error}")}


def _recent(
    table: WarehouseTable, charts: Sequence[Chart], window: Window, warehouse: "Warehouse", sum_of: str
) -> tuple[Slices, dict[str, list[Count]]]:
    """The rows of the last days by time, and by the values of every chart."""
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
    ordered = {chart.name: sorted(found.get(chart.by, []), key=lambda pair: -pair[1]) for chart in charts}
    return _gapless(times, step, window.end), ordered


def _gapless(times: Mapping[datetime, int], step: timedelta, end: datetime) -> Slices:
    """All slices from the first one with rows to the end, including empty ones."""
    first = min(times, default=end)
    number = -(-(end - first) // step)
    starts = [first + index * step for index in range(number)]
    return [(start, times.get(start, 0)) for start in starts]


def _rows(table: WarehouseTable, window: Window, warehouse: "Warehouse") -> Metadata:
    from flows_platform.warehouse.replace_window import bounds_of  # noqa: PLC0415 - loads BigQuery's client
    from flows_platform.warehouse.sql import first_rows  # noqa: PLC0415 - as above

    sql = first_rows(table, ROWS)
    rows = warehouse.select(sql, bounds_of(window), f"looking at {table.name}")
    return {"first_rows": rows_shown(table.columns, [dict(row.items()) for row in rows])}


def _charts(
    charts: Sequence[Chart], slices: Slices, counted: Mapping[str, list[Count]], of: str, prefix: str = ""
) -> Metadata:
    drawn = {f"{prefix}{of}_by_time": [(_clock(start, slices), count) for start, count in slices]}
    for chart in charts:
        drawn[prefix + chart.name] = [(_label(chart, value), count) for value, count in counted[chart.name]]
    return _drawn(drawn)


def _drawn(charts: Mapping[str, Sequence[tuple[str, int]]]) -> Metadata:
    """Charts by their names, from the labels and values of their bars."""

    def pictures() -> Mapping[str, str]:
        from flows_platform.charts import Bar, chart_markdown  # noqa: PLC0415 - Pillow, only where it draws

        return {name: chart_markdown(_title(name), [Bar(*bar) for bar in bars]) for name, bars in charts.items()}

    return _pictures(pictures)


def _pictures(drawn: Callable[[], Mapping[str, str]]) -> Metadata:
    """The markdown of pictures by their names; where they cannot be drawn, why."""
    try:
        with required(CHARTS):
            found = drawn()
    except ConfigurationError as error:
        return {"pictures": dg.MetadataValue.text(f"none: {error}")}
    return {name: dg.MetadataValue.md(markdown) for name, markdown in found.items()}


def _title(name: str) -> str:
    return name.replace("_", " ")


def stacked_chart(chart: Chart, by_hour: Mapping[tuple[datetime, str | None], int], window: Window) -> Metadata:
    """The rows of each hour by the values of a chart's column: the two most frequent ones, and the others.

    Args:
        chart: What stacks.
        by_hour: Numbers of rows by the start of the hour and the value.
        window: The time that is shown, in whole hours.
    """
    hours = [window.start + number * HOUR for number in range((window.end - window.start) // HOUR)]
    sums: dict[str | None, int] = {}
    for (_, value), count in by_hour.items():
        sums[value] = sums.get(value, 0) + count
    frequent = sorted(sums, key=lambda value: (-sums[value], str(value)))
    shown = sorted(frequent if len(frequent) <= STACKED else frequent[: STACKED - 1], key=str)
    counted = {_label(chart, value): [by_hour.get((hour, value), 0) for hour in hours] for value in shown}
    if len(shown) < len(frequent):
        others = set(frequent) - set(shown)
        counted["others"] = [sum(by_hour.get((hour, value), 0) for value in others) for hour in hours]
    name = f"rows_by_hour_and_{chart.by}"
    labels = [_clock(hour, [(one, 0) for one in hours]) for hour in hours]

    def pictures() -> Mapping[str, str]:
        from flows_platform.charts import Series, stacked_markdown  # noqa: PLC0415 - as above

        return {name: stacked_markdown(_title(name), labels, [Series(*one) for one in counted.items()])}

    return _pictures(pictures)


def number_chart(name: str, numbers: Mapping[str, int]) -> Metadata:
    """A chart of a few numbers by their names."""
    return _drawn({name: [*numbers.items()]})


def _label(chart: Chart, value: str | None) -> str:
    return "none" if value is None else clipped(chart.labels.get(value, value), LABEL)


def _clock(start: datetime, slices: Slices) -> str:
    """A slice's label in UTC: the time, or the date if the chart covers more than a day; "" between round ones."""
    span, step = slices[-1][0] - slices[0][0], slices[1 % len(slices)][0] - slices[0][0]
    if span < HOUR:
        round_one = len(slices) <= BARS or start.minute % (5 if step < FIVE_MINUTES else 15) == 0
        return f"{start:%H:%M}" if round_one else ""
    if span < DAY:
        round_one = not start.minute and (span < SHORT_WINDOW or start.hour % 3 == 0)
        return f"{start:%H:%M}" if round_one else ""
    round_one = not start.hour if step < DAY else step > DAY or start.day % 7 == 1
    return f"{start:%m-%d}" if round_one and not start.minute else ""


def slice_of(window: Window) -> timedelta:
    """The shortest usual step that cuts the window into at most `SLICES` slices."""
    length = window.end - window.start
    return next((step for step in STEPS if length / step <= SLICES), STEPS[-1])
