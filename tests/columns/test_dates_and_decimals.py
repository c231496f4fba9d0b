"""Columns of dates and of exact decimals: what is held, and why the rest is rejected."""

from datetime import date
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows_platform.columns.batches import ARROW_TYPES, plain_texts
from flows_platform.columns.cast_values import Misfit, cast_value
from flows_platform.columns.casting import Rows, cast_slice
from flows_platform.columns.mapping import ColumnSource, RecordMapping
from flows_platform.columns.paths import RecordPath
from flows_platform.columns.raw_records import raw_record
from flows_platform.columns.row_plan import RowPlan
from flows_platform.columns.time_forms import TimeForm, Written
from flows_platform.domain.decimals import plain
from flows_platform.domain.schema import Column, ColumnType, TableSchema
from flows_platform.formats.json.record_line import read_record

DAY = Column("day", ColumnType.DATE, "", nullable=True)
AMOUNT = Column("amount", ColumnType.NUMERIC, "", nullable=True)
SCHEMA = TableSchema("things", "", (DAY, AMOUNT), key="day", time="day")
NUMERIC = ARROW_TYPES[ColumnType.NUMERIC]
BILLIONTHS = st.integers(-(10**38) + 1, 10**38 - 1) | st.integers(-(10**12), 10**12)


@pytest.mark.parametrize(
    ("value", "held"),
    [
        (0, "0"),
        (2**63, "9223372036854775808"),
        (Decimal("0.1"), "0.1"),
        (Decimal("12345678901234567890.105000001"), "12345678901234567890.105000001"),
        (Decimal("15e-1"), "1.5"),
        (Decimal("1E+28"), "1" + "0" * 28),
        ("1.50", "1.5"),
        ("-15e-1", "-1.5"),
        ("007", "7"),
        (".5", "0.5"),
        ("5.", "5"),
        ("0.1000000000000", "0.1"),
        ("-0", "0"),
        (0.5, "0.5"),
        ("9" * 29 + "." + "9" * 9, "9" * 29 + "." + "9" * 9),
    ],
)
def test_a_decimal_is_held_with_all_digits(value: object, held: str) -> None:
    cast = cast_value(AMOUNT, value)
    assert isinstance(cast, Decimal)
    assert plain(cast) == held


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("0.0000000001", "more than 9 decimals, which would be rounded"),
        (Decimal("1e-10"), "more than 9 decimals"),
        (0.1, "more than 9 decimals"),  # the double that an Arrow stream may hold: 0.1000000000000000055…
        ("1" + "0" * 29, "more than 29 digits before the decimal point"),
        (10**29, "more than 29 digits before the decimal point"),
        (Decimal("-1e999999"), "more than 29 digits"),
        (Decimal("NaN"), "not a finite number"),
        (Decimal("sNaN"), "not a finite number"),
        (float("inf"), "not a finite number"),
        ("NaN", "not a decimal number"),
        ("Infinity", "not a decimal number"),
        ("1,000.00", "not a decimal number"),
        ("1_000", "not a decimal number"),
        ("+1", "not a decimal number"),
        (" 1", "not a decimal number"),
        ("$1", "not a decimal number"),
        ("٣", "not a decimal number"),
        ("", "not a decimal number"),
        ("1" * 2000, "not a decimal number"),
        (True, "not a decimal number"),
        ([1], "not a decimal number"),
    ],
)
def test_what_is_not_such_a_decimal_is_a_misfit(value: object, why: str) -> None:
    with pytest.raises(Misfit, match=rf"amount: .*{why}"):
        cast_value(AMOUNT, value)


@given(st.dates())
def test_a_date_is_held(day: date) -> None:
    assert cast_value(DAY, day.isoformat()) == cast_value(DAY, day) == day


@pytest.mark.parametrize(
    "value",
    [
        "2024-02-30", "0000-01-01", "10000-01-01", "-001-01-01", "2024-3-1", "20240301", "2024-W09-5", "2024-061",
        "2024-03-01T00:00:00Z", "2024-03-01 00:00:00", "2024-03-01Z", " 2024-03-01", "2024-03-01\n", "01.03.2024",
        "٢024-03-01", "", 20240301, 0, True, Decimal(1), [],
    ],
)  # fmt: skip
def test_what_is_not_a_date_is_a_misfit(value: object) -> None:
    with pytest.raises(Misfit, match=r"day: .* is not a date of the years 1 to 9999 as YYYY-MM-DD"):
        cast_value(DAY, value)


@pytest.mark.parametrize(
    ("written", "value", "held"),
    [
        (TimeForm.ISO, "2024-03-01", date(2024, 3, 1)),
        (TimeForm.DATE, "2024-03-01", date(2024, 3, 1)),
        (TimeForm.SECONDS, 1709251200, date(2024, 3, 1)),
        (TimeForm.NANOSECONDS, "1709251200000000000", date(2024, 3, 1)),
        ("%d/%m/%Y", "01/03/2024", date(2024, 3, 1)),
        ("%Y%m%d", 20240301, date(2024, 3, 1)),
        ("%Y-%m-%dT%H:%M:%SZ", "2024-03-01T00:00:00Z", date(2024, 3, 1)),
        ("%Y-%m-%dT%H:%M:%SZ", "2024-03-01T00:00:01Z", "is not a midnight in UTC"),
        ("%Y-%m-%dT%H:%M:%S%z", "2024-03-01T00:00:00+0100", r"2024-02-29T23:00:00.00:00 is not a midnight in UTC"),
        (TimeForm.SECONDS, 1709251201, "is not a midnight in UTC"),
        (TimeForm.SECONDS, "2024-03-01", "is not a number of seconds since 1970"),
        ("%d/%m/%Y", "2024-03-01", "is not a time written as '%d/%m/%Y'"),
        (TimeForm.ISO_UTC, "2024-03-01", "is not a date"),
    ],
)
def test_a_date_in_its_columns_form_is_a_midnight_in_utc(written: Written, value: object, held: object) -> None:
    source = ColumnSource("day", ColumnType.DATE, (RecordPath.parse("d"),), time=written)
    planned = RowPlan(RecordMapping((source,))).rows([{"d": value}])
    assert isinstance(planned, Rows)
    for row in (source.value({"d": value}), planned.values[0][0]):
        if isinstance(held, date):
            assert cast_value(DAY, row) == held
        else:
            with pytest.raises(Misfit, match=f"day: .*{held}"):
                cast_value(DAY, row)


@given(st.lists(st.none() | BILLIONTHS, max_size=9), st.integers(0, 9))
def test_arrow_writes_decimals_as_python_does(numbers: list[int | None], start: int) -> None:
    decimals = [None if number is None else Decimal(f"{number}e-9") for number in numbers]
    texts = plain_texts(pa.array(decimals, NUMERIC)[start:])
    assert texts.to_pylist() == [None if number is None else plain(number) for number in decimals[start:]]


@given(
    st.lists(
        st.from_regex(r"-?[0-9]{1,31}(\.[0-9]{1,11})?([eE]-?[0-9]{1,2})?", fullmatch=True)
        | st.sampled_from(["+1", "1.", ".5", "", "-", "0x1f", "-0", "00.10", "1e3", "9" * 29, "NaN", "٣"]),
        max_size=4,
    )
)
def test_texts_are_cast_together_as_one_by_one(texts: list[str]) -> None:
    batch = pa.RecordBatch.from_pydict(
        {"day": pa.nulls(len(texts), pa.string()), "amount": pa.array(texts, pa.string())}
    )
    casted = cast_slice(SCHEMA, batch, 0)
    good: list[object] = []
    for text in texts:
        try:
            good.append(cast_value(AMOUNT, text))
        except Misfit:
            continue
    assert casted.batch.column("amount").to_pylist() == good
    assert len(casted.rejects) == len(texts) - len(good)


@given(st.lists(st.decimals(allow_nan=True) | st.integers() | BILLIONTHS | st.none(), max_size=4))
def test_decimals_are_cast_together_as_one_by_one(values: list[Decimal | int | None]) -> None:
    casted = cast_slice(SCHEMA, [{"day": None, "amount": value} for value in values], 0)
    good: list[object] = []
    for value in values:
        try:
            good.append(cast_value(AMOUNT, value))
        except Misfit:
            continue
    assert casted.batch.column("amount").to_pylist() == good
    assert len(casted.rejects) == len(values) - len(good)


@pytest.mark.parametrize(
    ("kind", "values", "held"),
    [
        (pa.decimal128(10, 2), ["1.50", None], ["1.5", None]),
        (pa.decimal128(38, 0), ["9" * 29, "9" * 30], ["9" * 29]),
        (pa.decimal128(38, 12), ["0.100000000000", "0.000000000001"], ["0.1"]),
        (pa.decimal256(76, 9), ["-0.000000001", "1" + "0" * 29], ["-0.000000001"]),
        (pa.int64(), [2**62, -1], [str(2**62), "-1"]),
        (pa.float64(), [0.5, 0.1], ["0.5"]),
        (NUMERIC, ["0.105000001"], ["0.105000001"]),
    ],
)
def test_other_numbers_of_arrow_are_exact_or_rejects(kind: pa.DataType, values: list[object], held: list[str]) -> None:
    given = [Decimal(value) if isinstance(value, str) else value for value in values]
    batch = pa.RecordBatch.from_pydict({"day": pa.nulls(len(values), pa.date32()), "amount": pa.array(given, kind)})
    casted = cast_slice(SCHEMA, batch, 0)
    found = casted.batch.column("amount").to_pylist()
    assert [None if number is None else plain(number) for number in found] == held
    assert len(casted.rejects) == len(values) - len(held)


@pytest.mark.parametrize("days", [[-719_163], [2_932_897], [2**31 - 1], [-(2**31)]])
def test_days_of_arrow_outside_the_calendar_are_rejects(days: list[int]) -> None:
    sent = pa.array([0, *days], pa.int32()).cast(pa.date32())
    casted = cast_slice(SCHEMA, pa.RecordBatch.from_pydict({"day": sent, "amount": pa.nulls(2, NUMERIC)}), 0)
    assert casted.batch.column("day").to_pylist() == [date(1970, 1, 1)]
    assert [reject.reason[:5] for reject in casted.rejects] == ["day: "]


def test_a_raw_record_keeps_them() -> None:
    record = {"day": date(2024, 3, 1), "amount": Decimal("12345678901234567890.105000001")}
    raw = raw_record(record)
    assert raw == b'{"day":"2024-03-01","amount":12345678901234567890.105000001}'
    read = read_record(raw)
    assert isinstance(read, dict)
    assert [cast_value(DAY, read["day"]), cast_value(AMOUNT, read["amount"])] == list(record.values())
