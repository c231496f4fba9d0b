"""A window in the terms of a table's time column: seconds since the schema's epoch, or instants. No other column."""

from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from flows_platform.columns.arrow_schema import ARROW_TYPES
from flows_platform.domain.schema import ColumnType, TableSchema
from flows_platform.domain.windows import Window, bounds_since

type Time = int | datetime


def instant_of(schema: TableSchema, time: Time) -> datetime:
    """The instant that a value of the time column stands for."""
    return time if isinstance(time, datetime) else schema.epoch + timedelta(seconds=time)


def bounds_in(schema: TableSchema, window: Window) -> tuple[int, int] | tuple[datetime, datetime]:
    """`window` as the half-open `[first, end)` of the time column's own values.

    Raises:
        ConfigurationError: the column counts seconds, and the window starts before its epoch or off a whole second.
    """
    if schema.column(schema.time).type is ColumnType.TIMESTAMP:
        return window.start, window.end
    bounds = bounds_since(schema.epoch, window)
    return bounds.first, bounds.before + 1


def all_inside(batch: pa.RecordBatch, schema: TableSchema, window: Window) -> bool:
    """Whether every row's time lies in `window`, by the first and the last: a third of `inside`'s time."""
    ends = pc.min_max(batch.column(schema.time)).as_py()
    first, end = bounds_in(schema, window)
    return ends["min"] is None or (first <= ends["min"] and ends["max"] < end)


def inside(batch: pa.RecordBatch, schema: TableSchema, window: Window) -> pa.Array:
    """For each row of `batch` whether its time lies in `window`."""
    kind = ARROW_TYPES[schema.column(schema.time).type]
    first, end = (pa.scalar(bound, kind) for bound in bounds_in(schema, window))
    times = batch.column(schema.time)
    return pc.and_(pc.greater_equal(times, first), pc.less(times, end))
