"""Texts of instants that Arrow reads, if the reference would certainly read the same instants."""

import itertools
from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows_platform.columns.cast_values import Misfit, cast_value
from flows_platform.columns.casting import cast_slice
from flows_platform.domain.schema import Column, ColumnType, TableSchema

AT = Column("at", ColumnType.TIMESTAMP, "")
TABLE = TableSchema("t", "", (AT,), key="at", time="at")
ZONES = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
INSTANTS = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=ZONES)  # noqa: DTZ001  zones are drawn
TEXTS = st.one_of(
    INSTANTS.map(datetime.isoformat),
    INSTANTS.map(lambda instant: instant.isoformat(" ", "milliseconds")),
    INSTANTS.map(lambda instant: instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")),
    st.from_regex(
        r"[0-9]{4}-(0[0-9]|1[0-3])-[0-3][0-9][Tt ]([01][0-9]|2[0-4]):[0-6][0-9](:[0-6][0-9])?([.,][0-9]{1,9})?"
        r"(Z|z|[+-][0-2][0-9]:?[0-6][0-9]|)",
        fullmatch=True,
    ),
)


def by_reference(text: str) -> datetime | None:
    try:
        value = cast_value(AT, text)
    except Misfit:
        return None
    assert isinstance(value, datetime)
    return value


@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_texts_are_read_as_the_reference_reads_them(texts: list[str]) -> None:
    casted = cast_slice(TABLE, pa.record_batch([pa.array(texts)], names=["at"]), 1)
    expected = [by_reference(text) for text in texts]
    assert casted.batch.column("at").to_pylist() == [instant for instant in expected if instant is not None]
    assert [reject.position for reject in casted.rejects] == [at for at, it in enumerate(expected, 1) if it is None]


@pytest.mark.parametrize(
    "date", ["2024-03-01", "2024-3-1", "20240301", "2024-W09-5", "2024", "-2024-03-01", " 2024-03-01"]
)
def test_what_arrow_reads_the_reference_reads_alike(date: str) -> None:
    """Texts more or less like ISO 8601, one per slice: in a slice of two forms, one might hide the other."""
    clock = ["10", "10:00", "1000", "10:00:00", "100000", "24:00:00", "23:59:60", "10:00:00.1", "10:00:00,1"]
    clock += ["10:00:00.", "10:00:00.123456", "10:00:00.1234567", "10:00:00.123456000"]
    zones = ["Z", "z", "+00", "+01", "+0100", "+01:00", "+24:00", "+23:60", "-00:00", "+1", "+01:00:30", " Z", ""]
    for text in map("".join, itertools.product([date], "Tt _", clock, zones)):
        casted = cast_slice(TABLE, pa.record_batch([pa.array([text])], names=["at"]), 1)
        assert casted.batch.column("at").to_pylist() == [it for it in [by_reference(text)] if it is not None], text


@pytest.mark.parametrize(
    "text",
    ["0000-06-01T00:00:00Z", "0001-01-01T00:30:00+01:00", "9999-12-31T23:30:00-01:00", "2024-03-01T00:00Zx"],
)
def test_an_instant_outside_the_calendar_is_rejected(text: str) -> None:
    casted = cast_slice(TABLE, pa.record_batch([pa.array([text, "2024-03-01T00:00:00Z"])], names=["at"]), 1)
    assert [reject.position for reject in casted.rejects] == [1]
    assert casted.batch.num_rows == 1


@pytest.mark.parametrize("text", ["2024-03-01 10:00:00", "2024-03-01T10:00:00.1234567Z", "2024-03-01"])
def test_a_text_of_another_form_is_left_to_the_reference(text: str) -> None:
    casted = cast_slice(TABLE, pa.record_batch([pa.array([text])], names=["at"]), 1)
    assert casted.batch.column("at").to_pylist() == [it for it in [by_reference(text)] if it is not None]
