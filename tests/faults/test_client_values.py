"""Any value for any column in any format: the file holds it unchanged, or the quarantine holds it whole."""

import io
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import inf, isfinite, nextafter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows_platform.columns.casting import cast_slice
from flows_platform.domain.schema import INT64_MAX, INT64_MIN, Column, ColumnType, TableSchema
from flows_platform.domain.windows import Window
from flows_platform.fetch.out_of_window import inside
from flows_platform.formats.decoders import Layout, open_document
from flows_platform.formats.json.record_line import read_record
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.window_files.parquet import ParquetSink, file_digest
from tests.faults.scale import scaled

SCHEMA = TableSchema(
    name="things",
    description="Each type, required and nullable.",
    columns=tuple(
        Column(f"{kind}_{'maybe' if nullable else 'must'}", kind, "", nullable=nullable)
        for kind in ColumnType
        for nullable in (False, True)
    ),
    key="int64_must",
    time="int64_must",
)
GOOD: dict[str, object] = {
    "int64_must": 1,
    "int64_maybe": None,
    "string_must": "a",
    "string_maybe": None,
    "timestamp_must": "2014-01-01T00:00:00+00:00",
    "timestamp_maybe": None,
    "float64_must": Decimal("7.8"),
    "float64_maybe": None,
    "bool_must": True,
    "bool_maybe": None,
    "json_must": {"a": [1]},
    "json_maybe": None,
    "date_must": "2014-01-01",
    "date_maybe": None,
    "numeric_must": Decimal("12345678901234567890.105"),
    "numeric_maybe": None,
}
MISSING = object()
EDGES: list[object] = [
    MISSING,
    None,
    True,
    False,
    0,
    -1,
    INT64_MAX,
    INT64_MIN,
    INT64_MAX + 1,
    INT64_MIN - 1,
    2**70,
    10**400,
    "",
    "7",
    "007",
    "-0",
    "9223372036854775808",
    "1e3",
    "5.0",
    " 5",
    "+5",
    "0x1f",
    "٣",
    "1_000",
    "null",
    "NULL",
    "NaN",
    "é\u0000\U0001f600",
    "\ufffe",
    "\ud800",
    "x" * 100_000,
    Decimal("1.5"),
    Decimal("5.0"),
    Decimal("1E+400"),
    Decimal("1E-400"),
    Decimal("-0.0"),
    Decimal("0.1"),
    Decimal("3.14159265358979323846"),
    2**53 + 1,
    "true",
    "1",
    Decimal("9223372036854775807.5"),
    [],
    [1],
    {},
    {"a": 1},
    "2014-01-01T00:00:00Z",
    "2014-01-01 00:00:00",
    "2014-01-01T01:02:03.123456+02:00",
    "2014-01-01T01:02:03.1234567Z",
    "10000-01-01T00:00:00Z",
    "2014-02-30T00:00:00Z",
    "2014-02-28",
    "2014-02-30",
    "0000-01-01",
    "10000-01-01",
    "20140228",
    "1.50",
    "15e-1",
    Decimal("0.000000001"),
    Decimal("0.0000000001"),
    Decimal("9" * 29 + "." + "9" * 9),
    Decimal("1E+28"),
    Decimal("1E+29"),
]
ANY = st.one_of(
    st.sampled_from(EDGES),
    st.integers(-(2**80), 2**80),
    st.integers(-(2**65), 2**65).map(str),
    st.text(st.characters(exclude_categories=[])),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.datetimes(timezones=st.just(UTC)).map(lambda instant: instant.isoformat()),
    st.dates().map(date.isoformat),
    st.integers(-(10**39), 10**39).map(lambda billionths: Decimal(f"{billionths}e-9")),
    st.lists(st.integers(), max_size=2),
)
CHANGES = st.dictionaries(st.sampled_from([*SCHEMA.names, "unknown"]), ANY, max_size=3)


@dataclass(frozen=True)
class Read:
    rows: list[dict[str, object]]
    rejects: list[dict[str, object]]


def document(wire: WireFormat, records: list[Mapping[str, object]]) -> bytes:
    lines = [_json(record) for record in records]
    if wire is WireFormat.JSON:
        return f'{{"records":[{",".join(lines)}],"end":{{"count":{len(lines)}}}}}'.encode()
    return "".join(f"{line}\n" for line in lines).encode()


def _json(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{json.dumps(key)}:{_json(member)}" for key, member in value.items()) + "}"
    return str(value) if isinstance(value, Decimal) else json.dumps(value)


def read(wire: WireFormat, records: list[Mapping[str, object]]) -> Read:
    rows: list[dict[str, object]] = []
    rejects: list[dict[str, object]] = []
    for part in open_document(wire, io.BytesIO(document(wire, records)), Layout(SCHEMA)).slices():
        casted = cast_slice(SCHEMA, part, 1)
        rows += casted.batch.to_pylist()
        for reject in casted.rejects:
            record = read_record(reject.raw)
            assert isinstance(record, dict), reject
            rejects.append(record)
    return Read(rows, rejects)


SAME: dict[ColumnType, Callable[[Any, Any], bool]] = {
    ColumnType.INT64: lambda sent, held: isinstance(held, int) and Decimal(str(sent)) == held,
    ColumnType.STRING: lambda sent, held: bool(held == (sent if isinstance(sent, str) else str(sent))),
    ColumnType.TIMESTAMP: lambda sent, held: isinstance(sent, str) and datetime.fromisoformat(sent) == held,
    ColumnType.FLOAT64: lambda sent, held: isinstance(held, float) and is_nearest(Decimal(str(sent)), held),
    ColumnType.BOOL: lambda sent, held: str(sent).lower() in ({"true", "1"} if held is True else {"false", "0"}),
    ColumnType.JSON: lambda sent, held: _json(json.loads(held, parse_float=Decimal)) == _json(sent),
    ColumnType.DATE: lambda sent, held: isinstance(held, date) and sent == f"{held:%Y-%m-%d}".zfill(10),
    ColumnType.NUMERIC: lambda sent, held: isinstance(held, Decimal) and Fraction(str(sent)) == Fraction(held),
}


def is_same(column: Column, sent: object, held: object) -> bool:
    """Whether a column's value says what was sent; written apart from the code under test."""
    if held is None or sent is None or sent is MISSING:
        return held is None and (sent is None or sent is MISSING) and column.nullable
    if isinstance(sent, bool | list | dict) and column.type not in {ColumnType.BOOL, ColumnType.JSON}:
        return False
    return SAME[column.type](sent, held)


def is_nearest(sent: Decimal, held: float) -> bool:
    """Whether no other double is nearer, and no digit that a double has was lost."""
    error = abs(Fraction(sent) - Fraction(held))
    others = [neighbour for neighbour in (nextafter(held, inf), nextafter(held, -inf)) if isfinite(neighbour)]
    return (
        all(error <= abs(Fraction(sent) - Fraction(neighbour)) for neighbour in others)
        and error <= abs(Fraction(sent)) / 2**50
    )


def check(wire: WireFormat, changes: Mapping[str, object]) -> None:
    sent = {name: value for name, value in (GOOD | dict(changes)).items() if value is not MISSING}
    found = read(wire, [GOOD, sent, GOOD])
    assert len(found.rows) + len(found.rejects) == 3
    if found.rejects:
        assert found.rejects == [json.loads(_json(sent), parse_float=Decimal)]
        return
    assert "unknown" not in sent
    for column in SCHEMA.columns:
        assert is_same(column, sent.get(column.name, MISSING), found.rows[1][column.name]), column.name


@pytest.mark.parametrize("wire", [WireFormat.JSON, WireFormat.NDJSON])
@pytest.mark.parametrize("name", [*SCHEMA.names, "unknown"])
def test_the_edges_of_every_type(wire: WireFormat, name: str) -> None:
    for value in EDGES:
        check(wire, {name: value})


@pytest.mark.faults
@pytest.mark.parametrize("wire", [WireFormat.JSON, WireFormat.NDJSON])
@given(changes=CHANGES)
@settings(max_examples=scaled(5000, 200), suppress_health_check=list(HealthCheck), derandomize=True)
def test_no_value_is_changed_silently(wire: WireFormat, changes: dict[str, object]) -> None:
    check(wire, changes)


@pytest.mark.parametrize("name", SCHEMA.names)
def test_arrow_columns_of_other_types(name: str) -> None:
    kinds = [pa.int32(), pa.uint64(), pa.float64(), pa.bool_(), pa.large_string(), pa.timestamp("s"), pa.decimal128(19)]
    for kind in kinds:
        batch = pa.RecordBatch.from_pylist([GOOD]).drop_columns([name])
        value = pa.array([1], pa.int64()).cast(kind) if kind != pa.bool_() else pa.array([True])
        batch = batch.append_column(name, value)
        casted = cast_slice(SCHEMA, batch, 1)
        for held in casted.batch.to_pylist():
            column = SCHEMA.column(name)
            assert column.type is not ColumnType.TIMESTAMP
            text = "1970-01-01 00:00:01" if pa.types.is_timestamp(kind) else "1"
            if column.type is ColumnType.JSON:
                assert json.loads(held[name]) == (text if isinstance(json.loads(held[name]), str) else 1)
            else:
                assert held[name] == (text if column.type is ColumnType.STRING else 1)
        assert casted.batch.num_rows + len(casted.rejects) == 1


@given(st.lists(st.integers(-20, 120), unique=True), st.randoms(use_true_random=False))
def test_order_does_not_matter_and_nothing_outside_gets_in(seconds: list[int], order: random.Random) -> None:
    epoch = SCHEMA.epoch
    window = Window(epoch + timedelta(seconds=10), epoch + timedelta(seconds=100))
    records = [GOOD | {"int64_must": second} for second in seconds]
    shuffled = order.sample(records, len(records))
    results = [inside(cast_slice(SCHEMA, list(order), 1), SCHEMA, window) for order in (records, shuffled)]
    for casted in results:
        assert {row["int64_must"] for row in casted.batch.to_pylist()} == {s for s in seconds if 10 <= s < 100}
        assert casted.batch.num_rows + len(casted.rejects) == len(seconds)


def test_the_digest_of_a_shuffled_window_is_the_same(tmp_path: Path) -> None:
    records = [GOOD | {"int64_must": number, "string_must": str(number)} for number in range(5000)]
    digests = []
    for seed in range(3):
        shuffled = random.Random(seed).sample(records, len(records)) if seed else records
        with ParquetSink(tmp_path / str(seed), SCHEMA) as sink:
            for start in range(0, 5000, 700):
                sink.write(cast_slice(SCHEMA, list(shuffled[start : start + 700]), 1).batch)
        assert sink.keys_rise == (seed == 0)
        digests.append(file_digest(tmp_path / str(seed)))
    assert len(set(digests)) == 1


def test_what_is_no_record_is_set_aside_as_it_came() -> None:
    body = b'{"records":[1,"a\\ud800",null,[2.50,{"b":true}],{"int64_must":3}]}'
    (part,) = open_document(WireFormat.JSON, io.BytesIO(body), Layout(SCHEMA)).slices()
    rejects = cast_slice(SCHEMA, part, 1).rejects
    assert [reject.raw for reject in rejects[:4]] == [b"1", b'"a\\ud800"', b"null", b'[2.50,{"b":true}]']
