"""The digest of Arrow batches equals the reference's."""

from datetime import UTC, datetime
from decimal import Decimal
from math import nextafter

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from flows_platform.columns.batches import batch_digest
from flows_platform.domain.verification import Digested, RowDigest, canonical

ROWS = st.lists(
    st.tuples(
        st.integers(-(2**63), 2**63 - 1),
        st.text(st.characters(exclude_categories=["Cs"])),
        st.none() | st.text(st.characters(exclude_categories=["Cs"])),
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.floats(allow_nan=False, allow_infinity=False),
        st.none() | st.booleans(),
        st.none() | st.integers(-(10**38) + 1, 10**38 - 1).map(lambda billionths: Decimal(f"{billionths}e-9")),
        st.none() | st.integers(-719_162, 2_932_896),
    )
)
SCHEMA = pa.schema(
    [
        ("a", pa.int64()),
        ("b", pa.string()),
        ("c", pa.string()),
        ("d", pa.int64()),
        ("e", pa.float64()),
        ("f", pa.bool_()),
        ("g", pa.decimal128(38, 9)),
        ("h", pa.date32()),
    ]
)


@given(ROWS)
def test_a_batch_has_the_digest_of_its_rows(rows: list[tuple[Digested, ...]]) -> None:
    columns = [list(column) for column in zip(*rows, strict=True)] or [[]] * len(SCHEMA)
    batch = pa.RecordBatch.from_arrays(
        [pa.array(values, kind) for values, kind in zip(columns, SCHEMA.types, strict=True)], schema=SCHEMA
    )
    assert batch_digest(batch) == RowDigest.of(rows)


def test_zeros_are_one_number_and_neighbours_are_two() -> None:
    assert canonical([-0.0]) == canonical([0.0]) == b"0.0000000000000000e+00"
    assert canonical([0.1]) == b"1.0000000000000001e-01"
    for value in (0.1, 1.0, 2.0**53, 5e-324, 1.7976931348623157e308):
        assert canonical([value]) != canonical([nextafter(value, 0.0)])


def test_one_column_and_timestamps() -> None:
    instant = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    batch = pa.RecordBatch.from_pydict({"t": pa.array([instant, None], pa.timestamp("us", tz="UTC"))})
    assert batch_digest(batch) == RowDigest.of([(-1,), (None,)])
