"""The digest of Arrow batches is the reference's."""

from datetime import UTC, datetime

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from flows_platform.domain.verification import RowDigest
from flows_platform.wire.row_digest import batch_digest

ROWS = st.lists(
    st.tuples(
        st.integers(-(2**63), 2**63 - 1),
        st.text(st.characters(exclude_categories=["Cs"])),
        st.none() | st.text(st.characters(exclude_categories=["Cs"])),
        st.none() | st.integers(-(2**63), 2**63 - 1),
    )
)
SCHEMA = pa.schema([("a", pa.int64()), ("b", pa.string()), ("c", pa.string()), ("d", pa.int64())])


@given(ROWS)
def test_a_batch_has_the_digest_of_its_rows(rows: list[tuple[int, str, str | None, int | None]]) -> None:
    columns = [list(column) for column in zip(*rows, strict=True)] or [[]] * 4
    batch = pa.RecordBatch.from_arrays(
        [pa.array(each, kind) for each, kind in zip(columns, SCHEMA.types, strict=True)], schema=SCHEMA
    )
    assert batch_digest(batch) == RowDigest.of(rows)


def test_one_column_and_timestamps() -> None:
    instant = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    batch = pa.RecordBatch.from_pydict({"t": pa.array([instant, None], pa.timestamp("us", tz="UTC"))})
    assert batch_digest(batch) == RowDigest.of([(-1,), (None,)])
