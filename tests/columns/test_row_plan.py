"""The rows of a whole slice are those that the mapping gives record by record."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from flows_platform.columns.casting import Rows, as_mappings
from flows_platform.columns.mapping import ColumnSource, RecordMapping
from flows_platform.columns.paths import RecordPath
from flows_platform.columns.raw_records import Records, Unreadable, raw_record
from flows_platform.columns.row_plan import RowPlan
from flows_platform.columns.time_forms import TimeForm
from flows_platform.domain.schema import ColumnType
from tests.columns.test_mapping import RECORDS

TEXTS = st.lists(st.sampled_from(["a", "b", "c", "@d", "#text", "a[]", "b[0]", "a[b=]", "c[]"]), min_size=1, max_size=3)
PATHS = TEXTS.map(".".join).map(RecordPath.parse)
COLUMNS = st.builds(
    ColumnSource,
    column=st.just(""),
    type=st.sampled_from([ColumnType.STRING, ColumnType.INT64, ColumnType.TIMESTAMP, ColumnType.JSON]),
    paths=st.lists(PATHS, min_size=1, max_size=2).map(tuple),
    join=st.just(()) | st.lists(PATHS, min_size=1, max_size=2).map(tuple),
    time=st.sampled_from([*TimeForm, "%Y %z"]),
)
PLAIN = st.lists(st.sampled_from("abc"), min_size=1, max_size=2).map(".".join).map(RecordPath.parse)


@given(st.lists(RECORDS, max_size=4), st.lists(COLUMNS, max_size=5), st.none() | PLAIN, st.lists(PLAIN, max_size=2))
def test_a_slice_gives_the_rows_that_its_records_give_one_by_one(
    records: Records, columns: list[ColumnSource], child_path: RecordPath | None, ignored: list[RecordPath]
) -> None:
    named = tuple(replace(column, column=f"column {number}") for number, column in enumerate(columns))
    mapping = RecordMapping(named, each=child_path, ignored=tuple(ignored))
    split = mapping.split(records)
    rows = [_stated(row) for row in as_mappings(RowPlan(mapping).rows(split))]
    assert rows == [_stated(row) for row in map(mapping.row, split)]


def _stated(row: object) -> bytes:
    assert isinstance(row, dict)
    return raw_record({name: row[name] for name in sorted(row) if row[name] is not None})


def test_fields_of_one_path_are_both_kept() -> None:
    mapping = RecordMapping((ColumnSource("c", ColumnType.STRING, (RecordPath.parse("a.c"),)),))
    for record in ({"a.b": 1, "a": {"b": 2}}, {"a": {"b": 1, "c": "x"}, "a.b": 2}):
        (row,) = as_mappings(RowPlan(mapping).rows([record]))
        assert isinstance(row, dict)
        assert row["$.a.b"] == [1, 2]


def test_unreadable_records_stay_and_plain_records_are_one_table() -> None:
    plan = RowPlan(RecordMapping((ColumnSource("a", ColumnType.STRING, (RecordPath.parse("a"),)),)))
    bad = Unreadable("not a JSON object", b"[]")
    assert plan.rows([{"a": "x"}, bad]) == [{"a": "x"}, bad]
    assert plan.rows([{"a": "x"}, {}]) == Rows(("a",), [["x"], [None]])
