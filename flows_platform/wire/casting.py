"""Decoded values to Arrow columns, once. What does not fit without loss is rejected, never NULLed.

`cast_value` is the reference: one value, one column. `cast_slice` takes whole columns where a look at their Python
types proves that the reference would take every value unchanged, and falls back to it, record by record, where not.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from flows_platform.domain.rejects import RejectedRecord
from flows_platform.domain.schema import INT64_MAX, INT64_MIN, Column, ColumnType, TableSchema
from flows_platform.wire.arrow_schema import ARROW_TYPES, arrow_schema

INTEGER = re.compile(r"-?[0-9]+", re.ASCII)
MAX_DIGITS = 64  # beyond this no int() is tried: 19 digits fit, leading zeros are forgiven, 4,301 crash parsers
SHOWN = 80  # characters of a value in a message


@dataclass(frozen=True, slots=True)
class Rows:
    """Records as sequences of values, all with the same `names` in the same order."""

    names: tuple[str, ...]
    values: list[Sequence[object]]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that the format frames but that cannot be read: it goes to the quarantine as it is."""

    reason: str
    raw: bytes


type Records = list[Mapping[str, object] | Unreadable]
type Slice = Records | Rows | pa.RecordBatch


@dataclass(slots=True)
class Casted:
    """A slice's good records as one batch with their 1-based positions in the stream, its bad ones with reasons."""

    batch: pa.RecordBatch
    positions: Sequence[int]
    rejects: list[RejectedRecord] = field(default_factory=list)


class Misfit(ValueError):
    """A value that a column cannot hold without loss; the message says why."""


def shown(value: object) -> str:
    """A value for a message, shortened."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text)} characters)"


def _integer(value: object) -> int:
    match value:
        case bool():
            pass
        case int():
            return _in_range(value)
        case Decimal() | float() if _is_whole(value):
            return _in_range(int(value))
        case str() if len(value) <= MAX_DIGITS and INTEGER.fullmatch(value):
            return _in_range(int(value))
    raise Misfit(f"{shown(value)} is not an integer")


def _is_whole(number: Decimal | float) -> bool:
    """5.0 is 5. The bound comes first, since 1e999999999 // 1 would be computed in full."""
    return INT64_MIN <= number <= INT64_MAX and number == number // 1


def _in_range(value: int) -> int:
    if INT64_MIN <= value <= INT64_MAX:
        return value
    raise Misfit(f"{shown(value)} does not fit 64 bits")


def _text(value: object) -> str:
    match value:
        case bool():
            pass
        case int():
            return str(value)
        case str():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise Misfit(f"{shown(value)} holds half of a surrogate pair") from None
            return value
    raise Misfit(f"{shown(value)} is not text")


def _timestamp(value: object) -> datetime:
    if isinstance(value, datetime) and value.tzinfo:
        return value.astimezone(UTC)
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise Misfit(f"{shown(value)} is not an ISO 8601 time with its zone")
    return instant.astimezone(UTC)


CASTS: dict[ColumnType, Callable[[object], object]] = {
    ColumnType.INT64: _integer,
    ColumnType.STRING: _text,
    ColumnType.TIMESTAMP: _timestamp,
}


def cast_value(column: Column, value: object) -> object:
    """`value` as the column's type holds it.

    Raises:
        Misfit: it cannot be held without loss; the message names the column and the value.
    """
    if value is None:
        if column.nullable:
            return None
        raise Misfit(f"{column.name} is null or missing")
    try:
        return CASTS[column.type](value)
    except Misfit as error:
        raise Misfit(f"{column.name}: {error}") from None


def cast_record(schema: TableSchema, record: Mapping[str, object]) -> list[object]:
    """A record's values in the schema's order.

    Raises:
        Misfit: a value does not fit, or the record has a field that the schema does not.
    """
    unknown = record.keys() - set(schema.names)
    if unknown:
        raise Misfit(f"unknown field {shown(min(unknown))}")
    return [cast_value(column, record.get(column.name)) for column in schema.columns]


def cast_slice(schema: TableSchema, records: Slice, first_position: int) -> Casted:
    """A slice as Arrow; `first_position` is the 1-based position of its first record in the stream."""
    target = arrow_schema(schema)
    columns = _whole_columns(schema, records)
    if columns is not None:
        try:
            arrays = [_whole_array(column, values) for column, values in zip(schema.columns, columns, strict=True)]
            batch = pa.RecordBatch.from_arrays(arrays, schema=target)
            return Casted(batch, range(first_position, first_position + batch.num_rows))
        except (_NotProven, pa.ArrowInvalid, OverflowError, UnicodeEncodeError):
            pass  # the reference finds the records at fault
    return _one_by_one(schema, _as_mappings(records), first_position, target)


class _NotProven(Exception):
    """The fast path cannot show that it would do as the reference does."""


def _whole_columns(schema: TableSchema, records: Slice) -> list[Sequence[object] | pa.Array] | None:
    """The slice's columns in the schema's order, or None where some record has other fields than the schema."""
    if isinstance(records, pa.RecordBatch):
        return [records.column(name) for name in schema.names] if _same_names(schema, records.schema.names) else None
    if isinstance(records, Rows):
        if not _same_names(schema, records.names):
            return None
        by_name = dict(zip(records.names, zip(*records.values, strict=True), strict=True)) if records.values else {}
        return [by_name.get(name, ()) for name in schema.names]
    mappings = [record for record in records if isinstance(record, dict)]
    if len(mappings) != len(records) or set(map(len, mappings)) - {len(schema.columns)}:
        return None
    try:
        return [[record[name] for record in mappings] for name in schema.names]
    except KeyError:
        return None


def _same_names(schema: TableSchema, names: Sequence[str]) -> bool:
    return len(names) == len(schema.names) and set(names) == set(schema.names)


def _whole_array(column: Column, values: Sequence[object] | pa.Array) -> pa.Array:
    """A column's values at once; raises where the reference might see it otherwise."""
    field_type = ARROW_TYPES[column.type]
    if isinstance(values, pa.Array):
        if values.type != field_type or (values.null_count and not column.nullable):
            raise _NotProven
        values.validate(full=True)
        return values
    types = set(map(type, values))
    if column.type is ColumnType.INT64 and types == {str}:
        return _integers(pa.array(values, pa.string()))
    if column.type is ColumnType.TIMESTAMP or types - {FAST_PYTHON[column.type]}:
        raise _NotProven
    return pa.array(values, field_type)


FAST_PYTHON = {ColumnType.INT64: int, ColumnType.STRING: str}


def _integers(texts: pa.Array) -> pa.Array:
    # Arrow's own cast also takes "0x1f"; the pattern is the reference's.
    if not pc.all(pc.match_substring_regex(texts, r"\A-?[0-9]{1,64}\z")).as_py():
        raise _NotProven
    return texts.cast(pa.int64())


def _as_mappings(records: Slice) -> Records:
    if isinstance(records, pa.RecordBatch):
        return list(records.to_pylist())
    if isinstance(records, Rows):
        return [dict(zip(records.names, values, strict=True)) for values in records.values]
    return records


def _one_by_one(schema: TableSchema, records: Records, first_position: int, target: pa.Schema) -> Casted:
    good: list[list[object]] = []
    positions: list[int] = []
    rejects: list[RejectedRecord] = []
    for position, record in enumerate(records, start=first_position):
        if isinstance(record, Unreadable):
            rejects.append(RejectedRecord(position, record.reason, record.raw))
            continue
        try:
            good.append(cast_record(schema, record))
            positions.append(position)
        except Misfit as misfit:
            rejects.append(RejectedRecord(position, str(misfit), raw_record(record)))
    columns = list(zip(*good, strict=True)) or [()] * len(schema.columns)
    arrays = [pa.array(values, kind) for values, kind in zip(columns, target.types, strict=True)]
    return Casted(pa.RecordBatch.from_arrays(arrays, schema=target), positions, rejects)


def raw_record(record: Mapping[str, object]) -> bytes:
    """A record as JSON, for the quarantine; numbers keep their digits, half surrogates are escaped."""
    return json.dumps(record, default=str).encode()
