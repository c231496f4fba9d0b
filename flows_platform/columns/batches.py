"""A `TableSchema` as an Arrow schema, as Parquet files and Arrow streams have it. No I/O."""

from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flows_platform.domain.decimals import DECIMALS, DIGITS
from flows_platform.domain.schema import ColumnType, TableSchema
from flows_platform.domain.verification import MODULUS, RowDigest
from flows_platform.domain.windows import Window, bounds_since
from flows_platform.runtime.imports import pandas_refused

with pandas_refused():  # Arrow tries to import it at a process's first array, and again only for a data frame
    pa.array(())

ARROW_TYPES = {
    ColumnType.INT64: pa.int64(),
    ColumnType.STRING: pa.string(),
    ColumnType.TIMESTAMP: pa.timestamp("us", tz="UTC"),
    ColumnType.FLOAT64: pa.float64(),
    ColumnType.BOOL: pa.bool_(),
    ColumnType.JSON: pa.string(),
    ColumnType.DATE: pa.date32(),
    ColumnType.NUMERIC: pa.decimal128(DIGITS, DECIMALS),
}


@cache
def arrow_schema(schema: TableSchema) -> pa.Schema:
    """The schema's columns in order; a column that is not nullable is not nullable in Arrow either."""
    return pa.schema([pa.field(column.name, ARROW_TYPES[column.type], column.nullable) for column in schema.columns])


HASH_WORDS = 4  # a SHA-256 hash is four 64-bit words; the digest uses the first one


def batch_digest(batch: pa.RecordBatch) -> RowDigest:
    """The digest of a batch's rows; timestamps count as microseconds since 1970, as the warehouse counts them."""
    if not batch.num_rows:
        return RowDigest()
    fields = [_canonical(column) for column in batch.columns]
    rows = pc.binary_join_element_wise(*fields, b",") if len(fields) > 1 else fields[0]
    hashes = b"".join([sha256(row).digest() for row in rows.to_pylist()])
    words = np.frombuffer(hashes, dtype=">u8")[::HASH_WORDS]
    return RowDigest(batch.num_rows, int(words.sum(dtype=np.uint64)) % MODULUS)


def _canonical(column: pa.Array) -> pa.Array:
    """A column in the canonical form of `domain.verification`, as bytes."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        lengths = pc.binary_length(column.cast(pa.binary())).cast(pa.string()).cast(pa.binary())
        text = pc.binary_join_element_wise(lengths, column.cast(pa.binary()), b":")
    elif pa.types.is_floating(column.type):
        # Not Arrow's own text: it has the fewest digits that identify a double, and SQL has no such format.
        zeros_alike = pc.add(column, 0.0)
        text = pa.array([None if value is None else b"%.16e" % value for value in zeros_alike.to_pylist()], pa.binary())
    elif pa.types.is_decimal(column.type):
        text = plain_texts(column).cast(pa.binary())
    else:
        whole = column.cast(pa.int32()) if pa.types.is_date32(column.type) else column.cast(pa.int64())
        text = whole.cast(pa.string()).cast(pa.binary())
    return text.fill_null(b"~")


def plain_texts(numbers: pa.Array) -> pa.Array:
    """Numbers of a NUMERIC column as `domain.decimals.plain` writes them; Arrow would write 1E-9 and 1.500000000.

    It makes them from the billionths, which are integers of the same bits.
    """
    kind = pa.decimal128(DIGITS, 0)
    billionths = pa.Array.from_buffers(kind, len(numbers), numbers.buffers(), offset=numbers.offset).cast(pa.string())
    digits = pc.utf8_lpad(pc.utf8_ltrim(billionths, "-"), DECIMALS + 1, "0")
    sign = pc.if_else(pc.starts_with(billionths, "-"), "-", "")
    whole = pc.utf8_slice_codeunits(digits, 0, -DECIMALS)
    fraction = pc.utf8_rtrim(pc.utf8_slice_codeunits(digits, -DECIMALS), "0")
    return pc.binary_join_element_wise(sign, whole, pc.if_else(pc.equal(fraction, ""), "", "."), fraction, "")


type Time = int | datetime


def instant_of(schema: TableSchema, time: Time) -> datetime:
    """The instant that a value of the time column means."""
    return time if isinstance(time, datetime) else schema.epoch + timedelta(seconds=time)


def bounds_in(schema: TableSchema, window: Window) -> tuple[int, int] | tuple[datetime, datetime]:
    """`window` as a half-open range `[first, end)` of values of the time column.

    Raises:
        ConfigurationError: the column counts seconds, and the window starts before their epoch or between two seconds.
    """
    if schema.column(schema.time).type is ColumnType.TIMESTAMP:
        return window.start, window.end
    bounds = bounds_since(schema.epoch, window)
    return bounds.first, bounds.before + 1


def all_inside(batch: pa.RecordBatch, schema: TableSchema, window: Window) -> bool:
    """Whether all times are in `window`, by their minimum and maximum. It takes a third of the time of `inside`."""
    ends = pc.min_max(batch.column(schema.time)).as_py()
    first, end = bounds_in(schema, window)
    return ends["min"] is None or (first <= ends["min"] and ends["max"] < end)


def inside(batch: pa.RecordBatch, schema: TableSchema, window: Window) -> pa.Array:
    """For each row of `batch`, whether its time is in `window`."""
    kind = ARROW_TYPES[schema.column(schema.time).type]
    first, end = (pa.scalar(bound, kind) for bound in bounds_in(schema, window))
    times = batch.column(schema.time)
    return pc.and_(pc.greater_equal(times, first), pc.less(times, end))
