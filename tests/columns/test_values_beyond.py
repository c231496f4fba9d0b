"""Values that no column can hold: a misfit or an unreadable record, whatever a source sends."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows_platform.columns.cast_values import Misfit, cast_value
from flows_platform.columns.mapping import ColumnSource
from flows_platform.columns.paths import RecordPath
from flows_platform.columns.raw_records import Unreadable
from flows_platform.columns.time_forms import TimeForm, Written
from flows_platform.domain.schema import Column, ColumnType
from flows_platform.formats.json.record_line import read_record

HOSTILE = [
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00.000000+00:01",
    datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
    datetime(9999, 12, 31, 23, tzinfo=timezone(-timedelta(hours=2))),
    Decimal("1e999999999999999999"), Decimal("-1e999999999999999999"), Decimal("1e-999999999999999999"),
    "1e999999999999999999", "1e9999999999999999999999", "9" * 5000, 10**5000, float("inf"), float("nan"),
    Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), "\ud800", "\udfff\ud800", ["\ud800"], {"\ud800": 1},
    {"a": float("nan")}, [[]], {}, b"bytes", object(), "٣", "1_000", "", " ", "\0", True, 2**63, -(2**63) - 1,
    "2024-02-30T00:00:00Z", "2024-03-01T24:00:00Z", "2024-03-01T23:59:60Z", "2024-W09-5T00:00:00Z",
]  # fmt: skip
TIMES = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,12})?)?(Z|[+-][0-9]{2}:[0-9]{2})"
VALUES = st.one_of(
    st.sampled_from(HOSTILE),
    st.decimals(),
    st.floats(),
    st.integers(),
    st.text(st.characters()),
    st.datetimes(timezones=st.timezones()),
    st.from_regex(r"-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,25})?", fullmatch=True),
    st.from_regex(TIMES, fullmatch=True),
)  # fmt: skip


@pytest.mark.parametrize("kind", ColumnType)
@pytest.mark.parametrize("truncates", [False, True])
@given(value=VALUES)
def test_a_value_is_taken_or_a_misfit(*, kind: ColumnType, truncates: bool, value: object) -> None:
    for written in (*TimeForm, "%Y%m%d", "%FT%T.%f%z"):
        source = ColumnSource("c", kind, (RecordPath.parse("c"),), time=written, truncates=truncates)
        with suppress(Misfit):
            cast_value(Column("c", kind, "", nullable=True, truncates=truncates), source.first([value]))


@pytest.mark.parametrize(
    "number", ["1e9999999999999999999999", "-1E-9999999999999999999999", "1" * 5000, "1" * 5000 + ".5e7"]
)
def test_a_number_beyond_what_python_reads_makes_its_record_unreadable(number: str) -> None:
    record = read_record(b'{"a": %b}' % number.encode())
    assert isinstance(record, Unreadable) or isinstance(record["a"], Decimal)
    if "e9" in number.lower() or "-9" in number:
        assert isinstance(record, Unreadable)


@pytest.mark.parametrize(
    "line", [b"null", b"1", b'"x"', b"[]", b"true", b"[{}]", b"", b"{", '{"a": 1}'.encode("utf-16")]
)
def test_a_line_that_is_not_an_object_is_unreadable(line: bytes) -> None:
    assert isinstance(read_record(line), Unreadable)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (TimeForm.ISO, "2024-03-01T00:00:00.1234567Z"),
        (TimeForm.ISO, "2024-03-01T00:00:00.123456999999+00:00"),
        (TimeForm.ISO_UTC, "2024-03-01T00:00:00,123456789"),
        (TimeForm.SECONDS, "1709251200.1234569"),
        (TimeForm.MILLISECONDS, Decimal("1709251200123.4569")),
        (TimeForm.NANOSECONDS, 1_709_251_200_123_456_789),
        ("%d %b %Y %H:%M:%S.%f", "01 Mar 2024 00:00:00.1234567"),
    ],
)
def test_finer_times_are_truncated_or_rejected(written: Written, value: object) -> None:
    for truncates in (True, False):
        column = Column("c", ColumnType.TIMESTAMP, "", truncates=truncates)
        source = ColumnSource("c", column.type, (RecordPath.parse("c"),), time=written, truncates=truncates)
        if truncates:
            assert cast_value(column, source.first([value])) == datetime(2024, 3, 1, 0, 0, 0, 123456, tzinfo=UTC)
            continue
        with pytest.raises(Misfit):
            cast_value(column, source.first([value]))
