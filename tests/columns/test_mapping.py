"""From nested records to rows: every leaf goes to a column or under its own path, once; nothing is lost."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows_platform.columns.cast_values import Misfit, cast_value
from flows_platform.columns.mapping import UNTAKEN, ColumnSource, RecordMapping
from flows_platform.columns.paths import RecordPath
from flows_platform.columns.raw_records import Unreadable, raw_record
from flows_platform.columns.time_forms import TimeForm, Written
from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.schema import Column, ColumnType
from flows_platform.formats.json.record_line import read_record

type Leaf = tuple[tuple[str, ...], object]

NAMES = st.sampled_from(["a", "b", "c", "@d", "#text"])
SHAPES = st.recursive(
    st.none() | st.just("") | st.just("leaf"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=14,
)
RECORDS = st.dictionaries(NAMES, SHAPES, max_size=5)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(tuple)


def numbered(value: object, count: Iterator[int]) -> object:
    """The shape with a different number in every leaf, so that leaves cannot be confused."""
    if isinstance(value, Mapping):
        return {name: numbered(inner, count) for name, inner in value.items()}
    if isinstance(value, list):
        return [numbered(inner, count) for inner in value]
    return next(count) if value == "leaf" else value


def leaves(value: object, path: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """All values that are neither null nor empty, with their paths."""
    if isinstance(value, Mapping):
        for name, member in value.items():
            yield from leaves(member, (*path, name))
    elif isinstance(value, list):
        for element in value:
            yield from leaves(element, path)
    elif value not in (None, ""):
        yield path, value


def column(path: tuple[str, ...]) -> ColumnSource:
    text = ".".join(path)
    return ColumnSource(f"column {text}", ColumnType.JSON, (RecordPath.parse(text),))


def of_row(row: Mapping[str, object] | Unreadable) -> Iterator[Leaf]:
    assert isinstance(row, Mapping)
    for name, value in row.items():
        path = name.removeprefix("column ").removeprefix(UNTAKEN)
        yield from leaves(value, tuple(path.split(".")) if path else ())


def apart(paths: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The paths without those that are below another one."""
    return [path for path in set(paths) if not any(path[: len(other)] == other for other in set(paths) - {path})]


@given(RECORDS, st.lists(PATHS, max_size=4))
def test_each_leaf_ends_in_a_column_or_under_its_own_path(
    shape: dict[str, object], paths: list[tuple[str, ...]]
) -> None:
    record = numbered(shape, iter(range(1, 1000)))
    assert isinstance(record, dict)
    mapping = RecordMapping(tuple(map(column, apart(paths))))
    (row,) = mapping.map([record])
    assert Counter(of_row(row)) == Counter(leaves(record))


@given(RECORDS, st.lists(PATHS, max_size=3), st.lists(PATHS, max_size=2))
def test_only_ignored_fields_are_dropped(
    shape: dict[str, object], paths: list[tuple[str, ...]], ignored: list[tuple[str, ...]]
) -> None:
    record = numbered(shape, iter(range(1, 1000)))
    assert isinstance(record, dict)
    mapping = RecordMapping(
        tuple(map(column, apart(paths))), ignored=tuple(RecordPath.parse(".".join(path)) for path in ignored)
    )
    (row,) = mapping.map([record])
    gone = {leaf for leaf in leaves(record) if any(leaf[0][: len(path)] == path for path in ignored)}
    assert set(leaves(record)) - gone <= set(of_row(row)) <= set(leaves(record))


def children(record: object, path: tuple[str, ...]) -> list[object]:
    """The children at the path, found without the code's own paths."""
    if not path:
        return [] if record is None else [record]
    held = record.get(path[0]) if isinstance(record, Mapping) else None
    return [child for item in (held if isinstance(held, list) else [held]) for child in children(item, path[1:])]


@given(RECORDS, PATHS, st.lists(PATHS, max_size=3))
def test_each_child_has_a_row_with_everything_above_it(
    shape: dict[str, object], child_path: tuple[str, ...], paths: list[tuple[str, ...]]
) -> None:
    record = numbered(shape, iter(range(1, 1000)))
    assert isinstance(record, dict)
    mapping = RecordMapping(tuple(map(column, apart(paths))), each=RecordPath.parse(".".join(child_path)))
    rows = [Counter(of_row(row)) for row in mapping.map([record])]
    found = children(record, child_path)
    assert len(rows) == len(found)
    below = [leaf for leaf in leaves(record) if leaf[0][: len(child_path)] == child_path]
    above = {leaf for leaf in leaves(record) if leaf[0][:1] != child_path[:1]}
    for row, child in zip(rows, found, strict=True):
        assert above <= row.keys() <= set(leaves(record))
        assert set(row.values()) <= {1}
        assert {leaf for leaf in row if leaf[0][: len(child_path)] == child_path} == set(leaves(child, child_path))
    if found:
        assert sum((Counter(leaf for leaf in row if leaf in below) for row in rows), Counter()) == Counter(
            leaf for child in found for leaf in leaves(child, child_path)
        )


def test_rows_of_nested_lists_keep_the_fields_beside_the_child() -> None:
    record: dict[str, object] = {
        "host": 1,
        "groups": [{"name": "x", "items": [{"n": 1}, {"n": 2}]}, {"name": "y", "items": {"n": 3}}, {"name": "z"}],
    }
    columns = tuple(
        ColumnSource(name, ColumnType.STRING, (RecordPath.parse(path),))
        for name, path in {"host": "host", "name": "groups.name", "n": "groups.items.n"}.items()
    )
    rows = RecordMapping(columns, each=RecordPath.parse("groups.items")).map([record])
    assert rows == [
        {"host": 1, "name": "x", "n": 1},
        {"host": 1, "name": "x", "n": 2},
        {"host": 1, "name": "y", "n": 3},
    ]


@pytest.mark.parametrize("holder", [{}, {"list": None}, {"list": []}, {"list": ""}, {"list": {"child": []}}])
def test_a_record_without_children_has_no_row(holder: dict[str, object]) -> None:
    mapping = RecordMapping((), each=RecordPath.parse("list.child"))
    assert mapping.map([{"id": 1, **holder}]) == []


def test_rows_from_chosen_children_are_refused_since_the_others_would_be_lost() -> None:
    for path in ("list[kind=a]", "list[0].child"):
        with pytest.raises(ConfigurationError, match="the other elements of that list would be lost"):
            RecordMapping((), each=RecordPath.parse(path))


def test_an_unreadable_record_stays_what_it_is() -> None:
    bad = Unreadable("not a JSON object", b"[]")
    for rows_of in (None, RecordPath.parse("a")):
        assert RecordMapping((), each=rows_of).map([bad]) == [bad]


def source(kind: ColumnType = ColumnType.STRING, **fields: object) -> ColumnSource:
    return ColumnSource("column", kind, **fields)  # type: ignore[arg-type]


def paths(*texts: str) -> tuple[RecordPath, ...]:
    return tuple(map(RecordPath.parse, texts))


def test_a_path_that_chooses_takes_nothing_of_the_list() -> None:
    record = {"texts": [{"lang": "en", "value": "one"}, {"lang": "es", "value": "uno"}]}
    chosen = source(paths=paths("texts[lang=en].value"))
    assert RecordMapping((chosen,)).map([record]) == [{"column": "one", "$.texts": record["texts"]}]
    assert RecordMapping((chosen,), ignored=paths("texts")).map([record]) == [{"column": "one"}]


def test_no_path_leads_into_a_list_inside_a_list_which_is_kept() -> None:
    inner = source(paths=paths("list.name"))
    assert RecordMapping((inner,)).map([{"list": [[{"name": "x"}], [], {"name": "y"}]}]) == [
        {"column": "y", "$.list": [{"name": "x"}]}
    ]


def test_lists_of_one_and_of_none_stay_lists_where_they_are_asked_for() -> None:
    for tags, plain, listed in (([], None, []), (["a"], "a", ["a"]), (["a", "b"], ["a", "b"], ["a", "b"])):
        assert source(ColumnType.JSON, paths=paths("tags")).value({"tags": tags}) == plain
        assert source(ColumnType.JSON, paths=paths("tags[]")).value({"tags": tags}) == listed


def test_the_first_path_that_leads_to_something_is_taken() -> None:
    column = source(ColumnType.INT64, paths=paths("new", "old"))
    assert [column.value(record) for record in ({"new": 1, "old": 2}, {"new": "", "old": 2}, {"old": 0}, {})] == [
        1,
        2,
        0,
        None,
    ]
    assert source(paths=paths("new", "old")).value({"new": "", "old": "x"}) == ""


def test_joined_keys_are_never_alike() -> None:
    key = source(join=paths("a", "b.c"))
    assert key.value({"a": "x", "b": {"c": 7}}) == "x|7"
    assert [key.value({"a": "x"}), key.value({"b": {"c": "y"}})] == ["x|", "|y"]
    pairs = [("x|", "y"), ("x", "|y"), ("x|y", ""), ("x\\", "|y"), ("x\\|", "y"), (Decimal("1.50"), ["a"]), (1.5, "a")]
    assert len({key.value({"a": a, "b": {"c": b}}) for a, b in pairs}) == len(pairs)


@given(st.lists(st.tuples(st.text("ab|\\", max_size=4), st.text("ab|\\", max_size=4)), unique=True, max_size=6))
def test_joined_texts_are_never_alike(pairs: list[tuple[str, str]]) -> None:
    key = source(join=paths("a", "b"))
    assert len({key.value({"a": a, "b": b}) for a, b in pairs}) == len(pairs)


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("form", "value", "meant"),
    [
        (TimeForm.ISO, "2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        (TimeForm.ISO, "2024-01-01T00:00:00", "2024-01-01T00:00:00"),
        (TimeForm.ISO_UTC, "2024-01-01T00:00:00.123", "2024-01-01T00:00:00.123Z"),
        (TimeForm.ISO_UTC, "2024-01-01T00:00:00+02:00", "2024-01-01T00:00:00+02:00"),
        (TimeForm.ISO_UTC, "2024-01-01T00:00:00-0230", "2024-01-01T00:00:00-0230"),
        (TimeForm.ISO_UTC, 7, 7),
        (TimeForm.SECONDS, 0, EPOCH),
        (TimeForm.SECONDS, "-1", EPOCH - timedelta(seconds=1)),
        (TimeForm.SECONDS, Decimal("1.000001"), EPOCH + timedelta(seconds=1, microseconds=1)),
        (TimeForm.SECONDS, Decimal("1.7E+9"), EPOCH + timedelta(seconds=1_700_000_000)),
        (TimeForm.MILLISECONDS, 1, EPOCH + timedelta(milliseconds=1)),
        (TimeForm.MILLISECONDS, "1700000000123.456", EPOCH + timedelta(seconds=1_700_000_000, microseconds=123_456)),
        (TimeForm.MICROSECONDS, 1_700_000_000_123_456, EPOCH + timedelta(seconds=1_700_000_000, microseconds=123_456)),
        (
            TimeForm.NANOSECONDS,
            1_700_000_000_123_456_000,
            EPOCH + timedelta(seconds=1_700_000_000, microseconds=123_456),
        ),
        (TimeForm.DATE, "1970-01-02", EPOCH + timedelta(days=1)),
        ("%d/%b/%Y:%H:%M:%S %z", "02/Jan/1970:01:00:00 +0100", EPOCH + timedelta(days=1)),
        ("%Y%m%d", 19700102, EPOCH + timedelta(days=1)),
    ],
)
def test_how_a_time_is_understood(form: Written, value: object, meant: object) -> None:
    assert source(ColumnType.TIMESTAMP, paths=paths("t"), time=form).value({"t": value}) == meant


def test_nanoseconds_may_be_truncated() -> None:
    column = source(ColumnType.TIMESTAMP, paths=paths("t"), time=TimeForm.NANOSECONDS, truncates=True)
    assert column.value({"t": 1_999}) == EPOCH + timedelta(microseconds=1)


@pytest.mark.parametrize(
    "value",
    [
        True,
        "1_000",
        "٣",
        " 7",
        "0x7",
        "nan",
        "",
        Decimal("1.0000001"),
        "1." + "0" * 30 + "1",
        10**17,
        Decimal("1e99"),
        "1e999999999",
        "9" * 5000,
        [1, 2],
        {"a": 1},
    ],
)
@pytest.mark.parametrize("form", [TimeForm.SECONDS, TimeForm.MILLISECONDS, TimeForm.DATE, "%Y%m%d"])
def test_what_is_not_a_time_in_the_columns_form_is_refused(form: Written, value: object) -> None:
    value = Decimal("1.0000000000001") if form is TimeForm.MILLISECONDS and value == Decimal("1.0000001") else value
    found = source(ColumnType.TIMESTAMP, paths=paths("t"), time=form).value({"t": value})
    if value == "":
        assert found is None
        return
    with pytest.raises(Misfit, match=r"^t: .* is not a (number of \w*seconds since 1970|time written as '%Y)"):
        cast_value(Column("t", ColumnType.TIMESTAMP, ""), found)


def test_a_time_in_another_form_than_the_columns_is_refused_although_it_is_one() -> None:
    column = source(ColumnType.TIMESTAMP, paths=paths("t"), time="%d.%m.%Y")
    for value in ("2024-03-01T00:00:00Z", "30.02.2024", EPOCH.isoformat()):
        why = f"t: {value!r} is not a time written as '%d.%m.%Y', exact to the microsecond"
        with pytest.raises(Misfit, match=re.escape(why)):
            cast_value(Column("t", ColumnType.TIMESTAMP, ""), column.value({"t": value}))
    nanoseconds = source(ColumnType.TIMESTAMP, paths=paths("t"), time=TimeForm.NANOSECONDS)
    with pytest.raises(Misfit, match="1700000000123456789 is not a number of nanoseconds since 1970"):
        cast_value(Column("t", ColumnType.TIMESTAMP, ""), nanoseconds.value({"t": 1_700_000_000_123_456_789}))


@given(st.lists(RECORDS, max_size=3), st.lists(PATHS, max_size=3), st.lists(PATHS, max_size=3), PATHS | st.none())
def test_rejected_records_give_the_rows_of_another_mapping_as_if_fetched_again(
    shapes: list[dict[str, object]],
    before: list[tuple[str, ...]],
    after: list[tuple[str, ...]],
    child_path: tuple[str, ...] | None,
) -> None:
    records = [numbered(shape, iter(range(1, 1000))) for shape in shapes]
    rows_of = RecordPath.parse(".".join(child_path)) if child_path else None
    old, new = (RecordMapping(tuple(map(column, apart(paths))), each=rows_of) for paths in (before, after))
    kept = [read_record(raw_record(record)) for record in old.split(records) if isinstance(record, Mapping)]  # type: ignore[arg-type]
    again = [new.remap(record) for record in kept if isinstance(record, Mapping)]
    assert [raw_record(row) for row in again if isinstance(row, Mapping)] == [
        raw_record(row)
        for row in new.map(records)  # type: ignore[arg-type]
        if isinstance(row, Mapping)
    ]


def test_a_record_that_would_now_give_several_rows_is_unreadable() -> None:
    mapping = RecordMapping((), each=RecordPath.parse("list"))
    for record, count in (({"list": [1, 2]}, 2), ({"list": []}, 0)):
        assert mapping.remap(record) == Unreadable(f"gives {count} rows since the mapping was changed", b"")
