"""Casts decoded values to Arrow columns. A value that does not fit without loss is not NULLed: its record is rejected.

`cast_values` is the reference: it casts one value of one column. `cast_slice` casts whole columns if their Python types
prove that the reference would accept every value unchanged; if not, it falls back to the reference, record by record.
The decoder must have validated Arrow batches in full.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from types import NoneType

import pyarrow as pa
import pyarrow.compute as pc

from flows_platform.columns.batches import ARROW_TYPES, arrow_schema
from flows_platform.columns.cast_values import (
    FIRST_DAY,
    FIRST_INSTANT,
    LAST_DAY,
    LAST_INSTANT,
    Misfit,
    cast_value,
    shown,
)
from flows_platform.columns.raw_records import Records, Unreadable, json_text, raw_record
from flows_platform.domain.decimals import DECIMALS, WHOLE
from flows_platform.domain.rejects import RejectedRecord
from flows_platform.domain.schema import Column, ColumnType, TableSchema


@dataclass(frozen=True, slots=True)
class Rows:
    """Records as sequences of values; all have the same `names` in the same order."""

    names: tuple[str, ...]
    values: list[Sequence[object]]


type Slice = Records | Rows | pa.RecordBatch


@dataclass(slots=True)
class Casted:
    """A slice after casting: one batch of good records with their 1-based positions in the stream, and the rejects."""

    batch: pa.RecordBatch
    positions: Sequence[int]
    rejects: list[RejectedRecord] = field(default_factory=list)
    neighbours: pa.RecordBatch | None = None  # good records that belong to another window

    def first(self, records: int) -> "Casted":
        """The first `records` records of the slice, good and rejected."""
        if records >= len(self.positions) + len(self.rejects):
            return self
        last = sorted([*self.positions, *(reject.position for reject in self.rejects)])[records - 1]
        good = bisect_right(self.positions, last)
        rejects = [reject for reject in self.rejects if reject.position <= last]
        return Casted(self.batch.slice(0, good), self.positions[:good], rejects)


def cast_record(schema: TableSchema, record: Mapping[str, object], extra: str | None = None) -> list[object]:
    """A record's values in the schema's order. Fields that the schema does not have go to the column `extra` as JSON.

    Raises:
        Misfit: a value does not fit; or the record has a field that the schema does not have, and there is no `extra`.
    """
    return _values(schema, _fields(schema, extra), record, extra)


def _fields(schema: TableSchema, extra: str | None) -> frozenset[str]:
    """The names that a record's fields may have."""
    return frozenset(schema.names) - {extra or ""}


def _values(
    schema: TableSchema, fields: frozenset[str], record: Mapping[str, object], extra: str | None
) -> list[object]:
    unknown = record.keys() - fields
    if unknown and extra is None:
        raise Misfit(f"unknown field {shown(min(unknown))}")
    kept = json_text({name: record[name] for name in sorted(unknown)}) if unknown else None
    return [kept if column.name == extra else cast_value(column, record.get(column.name)) for column in schema.columns]


def cast_slice(schema: TableSchema, records: Slice, first_position: int, extra: str | None = None) -> Casted:
    """Cast a slice to Arrow.

    Args:
        schema: The table's columns.
        records: The slice.
        first_position: The 1-based position of the slice's first record in the stream.
        extra: The nullable text column that keeps unknown fields; without it, a record with such a field is rejected.
    """
    target = arrow_schema(schema)
    given = tuple(column for column in schema.columns if column.name != extra)
    columns = _whole_columns(given, records)
    if columns is not None:
        try:
            arrays = {column.name: _whole_array(column, values) for column, values in zip(given, columns, strict=True)}
            if extra is not None:
                arrays[extra] = pa.nulls(len(columns[0]), pa.string())
            batch = pa.RecordBatch.from_arrays([arrays[name] for name in schema.names], schema=target)
            return Casted(batch, range(first_position, first_position + batch.num_rows))
        except (
            _NotProven,
            Misfit,
            ValueError,
            OverflowError,
        ):  # also of Arrow, of lone surrogates, of endless integers
            pass  # the reference finds which records are bad
    return _one_by_one(schema, as_mappings(records), first_position, extra)


class _NotProven(Exception):
    """The fast path cannot prove that its result would equal the reference's."""


def _whole_columns(given: tuple[Column, ...], records: Slice) -> list[Sequence[object] | pa.Array] | None:
    """The slice's columns in the order of `given`; None if a record has other fields than these."""
    names = [column.name for column in given]
    if isinstance(records, pa.RecordBatch):
        return [records.column(name) for name in names] if _same_names(names, records.schema.names) else None
    if isinstance(records, Rows):
        if not _same_names(names, records.names):
            return None
        by_name = dict(zip(records.names, zip(*records.values, strict=True), strict=True)) if records.values else {}
        return [by_name.get(name, ()) for name in names]
    mappings = [record for record in records if isinstance(record, dict)]
    if len(mappings) != len(records) or set(map(len, mappings)) - {len(names)}:
        return None
    try:
        return [[record[name] for record in mappings] for name in names]
    except KeyError:
        return None


def _same_names(names: Sequence[str], found: Sequence[str]) -> bool:
    return len(names) == len(found) and set(names) == set(found)


def _whole_array(column: Column, values: Sequence[object] | pa.Array) -> pa.Array:
    """A column's values as one array; raises if the reference might cast them differently."""
    if isinstance(values, pa.Array):
        return _proven(column, values)
    field_type, types = ARROW_TYPES[column.type], set(map(type, values))
    # guard: whole columns have nulls only where they may
    if column.nullable:
        types.discard(NoneType)
    if not types:
        return pa.nulls(len(values), field_type)
    if types == {FAST_PYTHON.get(column.type)}:
        return _proven(column, pa.array(values, field_type))
    if column.type is ColumnType.NUMERIC and types <= {int, Decimal}:
        # As texts: Arrow makes 0 of a decimal that has 39 more decimals than the column, such as 1.5E-48.
        return _of_texts(column, pa.array([value if value is None else str(value) for value in values], pa.string()))
    if types == {str}:
        return _of_texts(column, pa.array(values, pa.string()))
    return pa.array([cast_value(column, value) for value in values], field_type)


def _proven(column: Column, values: pa.Array) -> pa.Array:
    if values.null_count and not column.nullable:
        raise _NotProven
    if values.type == pa.string() and column.type is not ColumnType.STRING:
        return _of_texts(column, values)
    if column.type is ColumnType.NUMERIC and pa.types.is_decimal(values.type):
        values = values.cast(ARROW_TYPES[column.type])  # it never loses a digit: it raises ArrowInvalid instead
    if values.type != ARROW_TYPES[column.type] or not PROOFS[column.type](values):
        raise _NotProven
    return values


def _of_texts(column: Column, texts: pa.Array) -> pa.Array:
    if column.type is ColumnType.INT64:
        return _integers(texts)
    # guard: Arrow casts decimals that are written plainly
    if column.type is ColumnType.NUMERIC and _all_match(texts, DECIMAL):
        return texts.cast(ARROW_TYPES[column.type])
    instants = _instants(texts) if column.type is ColumnType.TIMESTAMP else None
    return _cast_distinct(column, texts) if instants is None else instants


def _instants(texts: pa.Array) -> pa.Array | None:
    """The instants, if Arrow reads every text; None if not.

    The reference reads the same instants from these texts, and reads more formats. Arrow takes 0.02 µs per text, the
    reference 1.3 µs per distinct text.
    """
    try:
        times = texts.cast(ARROW_TYPES[ColumnType.TIMESTAMP])
    except pa.ArrowInvalid:
        return None
    # guard: texts of instants lie in the calendar
    if not _in_calendar(times):
        return None
    return times


def _cast_distinct(column: Column, texts: pa.Array) -> pa.Array:
    """Cast every distinct text once, by the reference: times and flags repeat."""
    encoded = texts.dictionary_encode()
    distinct = [cast_value(column, text) for text in encoded.dictionary.to_pylist()]
    return pa.array(distinct, ARROW_TYPES[column.type]).take(encoded.indices)


# Arrow would also accept "+1" and "1e3"; of these texts it reads every digit.
DECIMAL = rf"\A-?[0-9]{{1,{WHOLE}}}(\.[0-9]{{1,{DECIMALS}}})?\z"
FAST_PYTHON = {ColumnType.INT64: int, ColumnType.STRING: str, ColumnType.FLOAT64: float, ColumnType.BOOL: bool}


def _integers(texts: pa.Array) -> pa.Array:
    """Cast by Arrow, which also accepts "0x1f".

    If Arrow writes the integers back as they were sent, they are decimal. If not, for instance because of leading
    zeros, a pattern decides.
    """
    integers = texts.cast(pa.int64())
    if not integers.cast(pa.string()).equals(texts) and not _all_match(texts, r"\A-?[0-9]{1,64}\z"):
        raise _NotProven
    return integers


def _all_match(texts: pa.Array, pattern: str) -> bool:
    return pc.all(pc.match_substring_regex(texts, pattern)).as_py() is not False


def _in_calendar(times: pa.Array) -> bool:
    """Whether all times are in the years 1 to 9999, as the reference requires."""
    return _between(times.cast(pa.int64()), FIRST_INSTANT, LAST_INSTANT)


def _days_in_calendar(days: pa.Array) -> bool:
    return _between(days.cast(pa.int32()), FIRST_DAY, LAST_DAY)


def _between(numbers: pa.Array, first: int, last: int) -> bool:
    ends = pc.min_max(numbers).as_py()
    return ends["min"] is None or (ends["min"] >= first and ends["max"] <= last)


def _all_finite(numbers: pa.Array) -> bool:
    return pc.all(pc.is_finite(numbers)).as_py() is not False


def _always(_: pa.Array) -> bool:
    return True


def _never(_: pa.Array) -> bool:
    return False


# Whether the reference would accept an array of the column's own type unchanged.
PROOFS: dict[ColumnType, Callable[[pa.Array], bool]] = {
    ColumnType.INT64: _always,
    ColumnType.STRING: _always,
    ColumnType.TIMESTAMP: _in_calendar,
    ColumnType.FLOAT64: _all_finite,
    ColumnType.BOOL: _always,
    ColumnType.JSON: _never,  # a text is itself a JSON value, not the text of one
    ColumnType.DATE: _days_in_calendar,
    ColumnType.NUMERIC: _always,
}


def as_mappings(records: Slice) -> Records:
    """The slice's records one by one."""
    if isinstance(records, pa.RecordBatch):
        # Times and dates as texts, since Python cannot hold the year 10000.
        columns = [
            column.cast(pa.string()) if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type) else column
            for column in records.columns
        ]
        return list(pa.RecordBatch.from_arrays(columns, names=records.schema.names).to_pylist())
    if isinstance(records, Rows):
        return [dict(zip(records.names, values, strict=True)) for values in records.values]
    return records


def _one_by_one(schema: TableSchema, records: Records, first_position: int, extra: str | None) -> Casted:
    fields = _fields(schema, extra)
    good: list[list[object]] = []
    positions: list[int] = []
    rejects: list[RejectedRecord] = []
    for position, record in enumerate(records, start=first_position):
        if isinstance(record, Unreadable):
            rejects.append(RejectedRecord(position, record.reason, record.raw))
            continue
        try:
            good.append(_values(schema, fields, record, extra))
            positions.append(position)
        except Misfit as misfit:
            rejects.append(RejectedRecord(position, str(misfit), raw_record(record)))
    target = arrow_schema(schema)
    columns = list(zip(*good, strict=True)) or [()] * len(schema.columns)
    arrays = [pa.array(values, kind) for values, kind in zip(columns, target.types, strict=True)]
    return Casted(pa.RecordBatch.from_arrays(arrays, schema=target), positions, rejects)
