"""How the rows of a window file spread over its window and over the values of columns, and its first rows.

For display only. The sink fills it while it writes; its memory grows with the distinct values, up to a bound.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flows_platform.columns.batches import bounds_in, plain_texts
from flows_platform.domain.schema import ColumnType, TableSchema
from flows_platform.domain.windows import Window

HELD = 1 << 18  # counts of a column in memory; above it they are summed, and the rarer values dropped if need be
COUNTS = pa.schema([("values", pa.string()), ("counts", pa.int64())])


@dataclass(slots=True)
class ValueCounts:
    """How often each value of a column occurs, as text. The counts are exact up to `HELD` distinct values.

    Above that the counts of frequent values stay exact, and rare values are missing.
    """

    tables: list[pa.Table] = field(default_factory=list)

    def add(self, values: pa.Array | pa.ChunkedArray) -> None:
        found = pc.value_counts(values)
        distinct = found.field(0)
        texts = plain_texts(distinct) if pa.types.is_decimal(distinct.type) else distinct.cast(pa.string())
        self.tables.append(pa.table([texts, found.field(1)], schema=COUNTS))
        if sum(table.num_rows for table in self.tables) > HELD:
            summed = self._summed()
            # guard: distinct values are bounded
            self.tables = [_most(summed, HELD // 2) if summed.num_rows > HELD // 2 else summed]

    def _summed(self) -> pa.Table:
        if len(self.tables) == 1:  # most windows are one row group, whose values are distinct already
            return self.tables[0]
        every = pa.concat_tables([COUNTS.empty_table(), *self.tables])
        summed = every.group_by("values").aggregate([("counts", "sum")])
        return summed.rename_columns({"counts_sum": "counts"}).select(COUNTS.names)

    def top(self, number: int) -> list[tuple[str | None, int]]:
        """The most frequent values; those of equal counts by their text."""
        most = _most(self._summed(), number)
        return list(zip(most["values"].to_pylist(), most["counts"].to_pylist(), strict=True))


def _most(counts: pa.Table, number: int) -> pa.Table:
    order = [("counts", "descending"), ("values", "ascending")]
    return counts.take(pc.select_k_unstable(counts, number, order))


@dataclass(frozen=True, slots=True)
class ProfilePlan:
    """What a profile of the window has: slices of `step`, the values of `columns`, and this many `first_rows`."""

    window: Window
    step: timedelta
    columns: frozenset[str]
    first_rows: int


@dataclass(frozen=True, slots=True)
class Profile:
    """Numbers of rows by slice of the window, without gaps; counts of values by column; the first rows."""

    slices: list[tuple[datetime, int]]
    values: Mapping[str, ValueCounts]
    first_rows: list[dict[str, object]]


class Profiler:
    """Makes the profile of one file from its row groups, in their order."""

    def __init__(self, plan: ProfilePlan, schema: TableSchema) -> None:
        self._plan = plan
        self._schema = schema
        self._slices = ValueCounts()
        self._values = {column: ValueCounts() for column in plan.columns}
        self._first_rows: list[dict[str, object]] = []

    @classmethod
    def of(cls, plan: ProfilePlan | None, schema: TableSchema) -> "Profiler | None":
        """A profiler for the plan; None without a plan."""
        return cls(plan, schema) if plan else None

    def add(self, rows: pa.Table) -> None:
        self._slices.add(self._slice_of(rows.column(self._schema.time)))
        for column, counts in self._values.items():
            counts.add(rows.column(column))
        if missing := self._plan.first_rows - len(self._first_rows):
            self._first_rows += rows.slice(0, missing).to_pylist()

    def profile(self) -> Profile:
        """The profile of all rows so far."""
        window, step, found = self._plan.window, self._plan.step, dict(self._slices.top(HELD))
        number = -(-(window.end - window.start) // step)
        slices = [(window.start + index * step, found.get(str(index), 0)) for index in range(number)]
        return Profile(slices, self._values, self._first_rows)

    def _slice_of(self, times: pa.ChunkedArray) -> pa.ChunkedArray:
        instants = self._schema.column(self._schema.time).type is ColumnType.TIMESTAMP
        first = pa.scalar(bounds_in(self._schema, self._plan.window)[0], times.type).cast(pa.int64())
        length = self._plan.step // timedelta(microseconds=1 if instants else 1_000_000)
        return pc.divide(pc.subtract(times.cast(pa.int64()), first), length)


def counts_by_hour(path: Path, time: str, column: str) -> dict[tuple[datetime, str | None], int]:
    """How many rows of a window file each hour in UTC has, by the value of a column as text."""
    found: dict[tuple[datetime, str | None], int] = {}
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=[time, column]):
            hours = pc.floor_temporal(batch.column(time).cast(pa.timestamp("us", "UTC")), unit="hour")
            values = batch.column(column)
            texts = plain_texts(values) if pa.types.is_decimal(values.type) else values.cast(pa.string())
            pairs = pa.table({"hour": hours, "value": texts}).group_by(["hour", "value"]).aggregate([([], "count_all")])
            for row in pairs.to_pylist():
                at = (row["hour"], row["value"])
                found[at] = found.get(at, 0) + row["count_all"]
    return found
