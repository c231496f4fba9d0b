"""How the rows of a staged file spread over its window and over a column's values, and its first rows.

For looking at: nothing decides by it. Read a batch at a time; what is held grows with the distinct values, to a bound.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from flows_platform.columns.batches import bounds_in
from flows_platform.domain.schema import ColumnType, TableSchema
from flows_platform.domain.windows import Window
from flows_platform.window_files.parquet import batches_of

HELD = 1 << 18  # values of a column, counted by batch; where half of them are distinct, the rarer ones are let go
COUNTS = pa.schema([("values", pa.string()), ("counts", pa.int64())])


@dataclass(slots=True)
class ValueCounts:
    """How often each value of a column comes, as text; the frequent ones exactly while no more than `HELD` come."""

    parts: list[pa.Table] = field(default_factory=list)

    def add(self, values: pa.Array) -> None:
        found = pc.value_counts(values)
        self.parts.append(pa.table([found.field(0).cast(pa.string()), found.field(1)], schema=COUNTS))
        if sum(part.num_rows for part in self.parts) > HELD:
            summed = self._summed()
            # guard: distinct values are bounded
            self.parts = [_most(summed, HELD // 2) if summed.num_rows > HELD // 2 else summed]

    def _summed(self) -> pa.Table:
        if len(self.parts) == 1:  # most windows are one batch, whose values are distinct already
            return self.parts[0]
        every = pa.concat_tables([COUNTS.empty_table(), *self.parts])
        summed = every.group_by("values").aggregate([("counts", "sum")])
        return summed.rename_columns({"counts_sum": "counts"}).select(COUNTS.names)

    def top(self, number: int) -> list[tuple[str | None, int]]:
        """The most frequent values, then by their text."""
        most = _most(self._summed(), number)
        return list(zip(most["values"].to_pylist(), most["counts"].to_pylist(), strict=True))


def _most(counts: pa.Table, number: int) -> pa.Table:
    order = [("counts", "descending"), ("values", "ascending")]
    return counts.take(pc.select_k_unstable(counts, number, order))


@dataclass(frozen=True, slots=True)
class Spread:
    """Rows by slice of the window, all slices from its start on, and the counts of the columns' values."""

    slices: list[tuple[datetime, int]]
    values: Mapping[str, ValueCounts]


def spread_of(path: Path, schema: TableSchema, window: Window, step: timedelta, columns: Iterable[str]) -> Spread:
    """The spread of the rows over slices of `step`, and over the values of `columns`."""
    slices, values = ValueCounts(), {column: ValueCounts() for column in columns}
    for batch in batches_of(path, columns=[schema.time, *values]):
        slices.add(_slice_of(batch.column(schema.time), schema, window, step))
        for column, counts in values.items():
            counts.add(batch.column(column))
    held = dict(slices.top(HELD))
    number = -(-(window.end - window.start) // step)
    return Spread([(window.start + place * step, held.get(str(place), 0)) for place in range(number)], values)


def _slice_of(times: pa.Array, schema: TableSchema, window: Window, step: timedelta) -> pa.Array:
    instants = schema.column(schema.time).type is ColumnType.TIMESTAMP
    first = pa.scalar(bounds_in(schema, window)[0], times.type).cast(pa.int64())
    length = step // timedelta(microseconds=1 if instants else 1_000_000)
    return pc.divide(pc.subtract(times.cast(pa.int64()), first), length)


def first_rows(path: Path, number: int) -> list[dict[str, object]]:
    """The first rows of the file, as Python has them."""
    first = next(batches_of(path, number), None)
    return first.to_pylist() if first else []
