"""The fast cast of whole columns gives the same as the reference gives value by value, for any values."""

from datetime import UTC, date
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows_platform.columns.batches import arrow_schema
from flows_platform.columns.cast_values import Misfit, cast_value
from flows_platform.columns.casting import Rows, cast_record, cast_slice
from flows_platform.columns.raw_records import Unreadable
from flows_platform.domain.schema import INT64_MAX, INT64_MIN, Column, ColumnType, TableSchema

SCHEMA = TableSchema(
    name="things",
    description="One column of every type.",
    columns=(
        Column("id", ColumnType.INT64, ""),
        Column("name", ColumnType.STRING, ""),
        Column("seen", ColumnType.TIMESTAMP, "", nullable=True),
        Column("note", ColumnType.STRING, "", nullable=True),
        Column("score", ColumnType.FLOAT64, "", nullable=True),
        Column("known", ColumnType.BOOL, "", nullable=True),
        Column("more", ColumnType.JSON, "", nullable=True),
        Column("day", ColumnType.DATE, "", nullable=True),
        Column("amount", ColumnType.NUMERIC, "", nullable=True),
    ),
    key="id",
    time="id",
)

INTEGERS = st.integers(INT64_MIN, INT64_MAX)
TEXT = st.text()
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
GOOD = st.fixed_dictionaries(
    {
        "id": INTEGERS,
        "name": TEXT,
        "seen": st.none() | st.datetimes(timezones=st.just(UTC)).map(lambda t: t.isoformat()),
        "note": st.none() | TEXT,
        "score": FLOATS,
        "known": st.booleans(),
        "more": st.none() | st.recursive(TEXT | FLOATS | INTEGERS, lambda values: st.lists(values, max_size=2)),
        "day": st.none() | st.dates().map(str),
        "amount": st.none() | st.decimals(allow_nan=False, allow_infinity=False, places=9, max_value=10**28),
    }
)
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.integers(-(2**65), 2**65).map(str),
    st.sampled_from(
        ["0x1f", " 5", "5 ", "+5", "1_000", "٣", "", "-", "007", "-0", "1e3", "5.0", "nan", "\ud800", "\0", "true"]
    ),
    st.floats(),
    st.decimals(allow_nan=False),
    TEXT,
    st.lists(st.integers(), max_size=1),
)
# As XML has them: all texts, any of them missing. Whole columns are cast at once where the types allow it.
TEXTS = st.fixed_dictionaries(
    {
        "id": INTEGERS.map(str) | st.none(),
        "name": TEXT | st.none(),
        "seen": st.sampled_from([None, "2024-01-01T00:00:00Z", "2024-01-01T00:00:00.5+02:00", "2024-01-01"]),
        "note": TEXT | st.none(),
        "score": st.sampled_from([None, "7.8", "-1e3", "nan", ""]),
        "known": st.sampled_from([None, "0", "1", "true", "yes"]),
        "more": TEXT | st.none(),
        "day": st.sampled_from([None, "2024-03-01", "2024-02-30", "2024-03-01T00:00:00Z", ""]),
        "amount": st.sampled_from([None, "1.50", "15e-1", "0.0000000001", "+1", ""]),
    }
)
ANY = st.dictionaries(st.sampled_from([*SCHEMA.names, "extra"]), ODD, max_size=8)


@given(st.lists(GOOD | ANY, max_size=8) | st.lists(TEXTS, max_size=8), st.booleans())
def test_a_slice_is_cast_as_its_records_one_by_one(records: list[dict[str, object]], as_rows: object) -> None:
    same_names = len({tuple(record) for record in records}) == 1
    piece = (
        Rows(tuple(records[0]), [list(record.values()) for record in records]) if as_rows and same_names else records
    )
    casted = cast_slice(SCHEMA, piece, first_position=11)
    good, bad = [], []
    for position, record in enumerate(records, start=11):
        try:
            good.append((position, cast_record(SCHEMA, record)))
        except Misfit as misfit:
            bad.append((position, str(misfit)))
    assert [list(row.values()) for row in casted.batch.to_pylist()] == [values for _, values in good]
    assert list(casted.positions) == [position for position, _ in good]
    assert [(reject.position, reject.reason) for reject in casted.rejects] == bad
    assert casted.batch.schema == arrow_schema(SCHEMA)


@given(st.lists(GOOD, min_size=1, max_size=8))
def test_a_good_record_loses_nothing(records: list[dict[str, object]]) -> None:
    casted = cast_slice(SCHEMA, records, 1)
    assert casted.rejects == []
    assert casted.batch.column("id").to_pylist() == [record["id"] for record in records]
    assert casted.batch.column("name").to_pylist() == [record["name"] for record in records]


@pytest.mark.parametrize(
    "value", ["0x1f", " 5", "+5", "1_000", "٣", "", "1e3", "5.0", True, 2**63, 0.5, None, [1], "9" * 5000]
)
def test_a_value_that_is_not_a_64_bit_integer_is_a_misfit(value: object) -> None:
    with pytest.raises(Misfit, match="id"):
        cast_value(SCHEMA.column("id"), value)


@pytest.mark.parametrize(
    ("value", "cast"), [("007", 7), ("-0", 0), (Decimal("5.0"), 5), (5.0, 5), (str(INT64_MIN), INT64_MIN)]
)
def test_other_spellings_of_an_integer_are_taken(value: object, cast: int) -> None:
    assert cast_value(SCHEMA.column("id"), value) == cast


def test_an_arrow_batch_with_other_types_is_cast_by_value() -> None:
    sent = {"id": "7", "name": 8, "seen": None, "note": None, "score": "7.8", "known": 1, "more": {"a": [1]}}
    sent |= {"day": "2024-03-01", "amount": 3}
    casted = cast_slice(SCHEMA, pa.RecordBatch.from_pylist([sent]), 1)
    cast = {"id": 7, "name": "8", "seen": None, "note": None, "score": 7.8, "known": True, "more": '{"a":[1]}'}
    cast |= {"day": date(2024, 3, 1), "amount": Decimal(3)}
    assert casted.batch.to_pylist() == [cast]


def test_a_null_in_a_required_arrow_column_is_rejected() -> None:
    batch = pa.RecordBatch.from_pylist([dict.fromkeys(SCHEMA.names) | {"id": 1, "name": "a"}, {"id": None}])
    casted = cast_slice(SCHEMA, batch, 1)
    assert [(reject.position, reject.reason) for reject in casted.rejects] == [(2, "id is null or missing")]


def test_an_unreadable_record_keeps_its_bytes() -> None:
    casted = cast_slice(SCHEMA, [Unreadable("no JSON", b"{\xff")], 5)
    assert casted.rejects[0].raw == b"{\xff"


def test_the_raw_record_of_a_reject_is_json() -> None:
    (reject,) = cast_slice(SCHEMA, [{"id": Decimal("1.50"), "name": "\ud800"}], 1).rejects
    assert reject.raw == b'{"id":1.50,"name":"\\ud800"}'
