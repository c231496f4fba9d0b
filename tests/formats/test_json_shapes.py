"""JSON records that are arrays by position or members of an object, and paths through arrays; in any pieces."""

import json
import tracemalloc
from itertools import chain, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows_platform.columns.casting import as_mappings
from flows_platform.columns.paths import RecordPath
from flows_platform.columns.raw_records import Unreadable
from flows_platform.domain.errors import ConfigurationError, PlatformError, SourceRefused, StreamIncomplete
from flows_platform.formats.decoders import Layout, open_document
from flows_platform.formats.json import members
from flows_platform.formats.protocol.envelope import ErrorDocument
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.sources.lanl_flows.schema import FLOWS

from .test_guards import SIZES, TEXT, VALUES, Cut

TABLES = {
    "tables": [
        {
            "name": "first",
            "columns": [{"name": "t", "type": "datetime"}, {"name": "a.b"}],
            "rows": [[1, "x"], [2, None]],
        },
        {"name": "second", "columns": [{"name": "other"}], "rows": [[3]]},
    ]
}
COLUMNS = RecordPath.parse("tables[0].columns[].name")
VALUES_PATH = RecordPath.parse("values")


def read(body: object, path: str = "", sizes: list[int] | None = None, **layout: object) -> list[object]:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    whole = Layout(FLOWS, path, **{"whole": True, **layout})  # type: ignore[arg-type]
    document = open_document(WireFormat.JSON, Cut(text, sizes or [1 << 18]), whole)
    return [record for piece in document.slices() for record in as_mappings(piece)]


@given(st.lists(st.tuples(VALUES, VALUES), max_size=5), SIZES)
def test_a_value_gets_the_name_at_its_position(rows: list[tuple[object, object]], sizes: list[int]) -> None:
    body = {"n": ["a", "é"], "data": rows}
    sent = [{"a": json.loads(json.dumps(first)), "é": json.loads(json.dumps(second))} for first, second in rows]
    assert read(body, "data", sizes, names=("a", "é")) == sent
    assert read(body, "data", sizes, names=RecordPath.parse("n")) == sent


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_names_may_be_in_the_document(size: int) -> None:
    named = [{"t": 1, "a.b": "x"}, {"t": 2, "a.b": None}]
    assert read(TABLES, "tables[0].rows", [size], names=COLUMNS) == named
    others = RecordPath.parse("tables[1].columns[].name")
    assert read(TABLES, "tables[1].rows", [size], names=others) == [{"other": 3}]


def test_an_array_of_another_length_is_never_shifted() -> None:
    rows = read([[1, 2], [1], [1, 2, 3], [], {"a": 1}, "x", None], names=("a", "b"))
    assert [getattr(row, "reason", row) for row in rows] == [
        {"a": 1, "b": 2},
        "1 values, but there are 2 names",
        "3 values, but there are 2 names",
        "0 values, but there are 2 names",
        "not a JSON array",
        "not a JSON array",
        "not a JSON array",
    ]
    assert [row.raw for row in rows if isinstance(row, Unreadable)][:2] == [b"[1]", b"[1,2,3]"]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"rows": [[1, 2]], "columns": ["a", "b"]}, "no names at 'columns' before the records.*list them instead"),
        ({"rows": [[1, 2]]}, "no names at 'columns' before"),
        ({"columns": [], "rows": [[1, 2]]}, "no names at 'columns' before"),
        ({"columns": None, "rows": [[1, 2]]}, "null at 'columns' is not a name"),
        ({"columns": ["a", 7], "rows": [[1, 2]]}, "7 at 'columns' is not a name"),
        ({"columns": ["a", "a"], "rows": [[1, 2]]}, "the names at 'columns' repeat 'a'"),
    ],
)
def test_names_that_are_not_there_yet_or_not_names_are_refused(document: object, words: str) -> None:
    with pytest.raises(SourceRefused, match=words):
        read(document, "rows", names=RecordPath.parse("columns"))


def test_names_that_go_on_after_the_records_are_refused() -> None:
    with pytest.raises(SourceRefused, match=r"the names at 'tables\[\].columns\[\].name' go on after the records"):
        read({"tables": [*TABLES["tables"]]}, "tables[0].rows", names=RecordPath.parse("tables[].columns[].name"))


def test_no_rows_need_no_names() -> None:
    assert read({"rows": []}, "rows", names=RecordPath.parse("columns")) == []


def test_the_arrays_may_be_rows_of_records() -> None:
    series = [{"host": "a", "values": [[1, "x"], [2, "y"], [3]]}, {"host": "b", "values": []}, {"host": "c"}, 7]
    found = read({"series": series}, "series", names=("t", "v"), rows=VALUES_PATH)
    assert found[:3] == [
        {"host": "a", "values": [{"t": 1, "v": "x"}, {"t": 2, "v": "y"}, [3]]},
        {"host": "b", "values": []},
        {"host": "c"},
    ]
    assert isinstance(found[3], Unreadable)
    nested = {"a": [{"b": {"values": [[1, 2]]}}, {"b": None}, 3], "values": [[1, 2]]}
    rows = RecordPath.parse("a.b.values")
    assert read([nested], names=("t", "v"), rows=rows) == [
        {"a": [{"b": {"values": [{"t": 1, "v": 2}]}}, {"b": None}, 3], "values": [[1, 2]]}
    ]


def test_the_names_of_rows_may_be_in_the_record_or_the_document() -> None:
    names = RecordPath.parse("columns")
    series = [{"columns": ["t", "v"], "values": [[1, 2]]}, {"columns": ["w"], "values": [[3]]}]
    found = read(series, names=names, rows=VALUES_PATH)
    assert [record["values"] for record in found] == [[{"t": 1, "v": 2}], [{"w": 3}]]  # type: ignore[index]
    document = {"columns": ["x", "y"], "series": [{"values": [[1, 2]]}, series[1]]}
    found = read(document, "series", names=names, rows=VALUES_PATH)
    assert [record["values"] for record in found] == [[{"x": 1, "y": 2}], [{"w": 3}]]  # type: ignore[index]
    with pytest.raises(SourceRefused, match="no names at 'columns'"):
        read([{"values": [[1]]}], names=names, rows=VALUES_PATH)


def lines(body: bytes, size: int = 7, **layout: object) -> list[object]:
    whole = Layout(FLOWS, **{"whole": True, **layout})  # type: ignore[arg-type]
    document = open_document(WireFormat.NDJSON, Cut(body, [size]), whole)
    return [record for piece in document.slices() for record in as_mappings(piece)]


@pytest.mark.parametrize("whole", [True, False])
def test_lines_may_be_arrays(*, whole: bool) -> None:
    found = lines(b'[1,"x"]\n\n[2]\n{"a":1}\n[\n[3,null]\n', names=("a", "b"), whole=whole)
    assert [getattr(record, "raw", record) for record in found] == [
        {"a": 1, "b": "x"},
        b"[2]",
        b'{"a":1}',
        b"[",
        {"a": 3, "b": None},
    ]
    assert lines(b"[1,2]", names=("a", "b"), proven=True) == [{"a": 1, "b": 2}]
    with pytest.raises(StreamIncomplete, match="ends inside a line"):
        lines(b"[1,2]\n[1,", names=("a", "b"), proven=True)
    errors = ErrorDocument(message=RecordPath.parse("error[0].message"))
    with pytest.raises(SourceRefused, match="an error: no quota"):
        lines(b'[1,2]\n{"error":[{"message":"no quota"},{"message":"x"}]}\n', names=("a", "b"), errors=errors)


def test_lines_may_have_rows_of_arrays() -> None:
    body = b'{"c":["t","v"],"values":[[1,2],[3,4]]}\n7\n'
    row, other = lines(body, names=RecordPath.parse("c"), rows=VALUES_PATH)
    assert row["values"] == [{"t": 1, "v": 2}, {"t": 3, "v": 4}]  # type: ignore[index]
    assert isinstance(other, Unreadable)


OBJECTS = st.dictionaries(TEXT, st.dictionaries(TEXT, VALUES, max_size=3), max_size=4)


@given(OBJECTS, SIZES, st.booleans())
def test_members_of_an_object_are_records(sent: dict[str, dict[str, object]], sizes: list[int], root: object) -> None:
    records = [{"the key": name, **value} for name, value in json.loads(json.dumps(sent)).items()]
    body = sent if root else {"before": {"x": {}}, "data": [1, {"map": sent, "end": 1}]}
    path = "" if root else "data[1].map"
    assert read(body, path, sizes, record_key="the key") == records


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"map": {"a": {"x": 1}, "b": {}, "a": {"x": 2}}}', "the member 'a' is repeated among the records"),
        (b'{"map": {"a": {}, "\\u0061": {}}}', "the member 'a' is repeated"),
        (b'{"map": {"a": {"x": 1, "x": 2}}}', "repeat keys"),
        (b'{"map": {"a": {"id": 1}}}', "'a' already has a field 'id'.*another `record_key`"),
        (b'{"map": {"a": {}}, "map": {}}', "the member 'map' is repeated in the JSON document"),
        (b'{"map": [{}]}', "no object at 'map': the value is an array"),
        (b'{"map": 7}', "no object at 'map': the value is a number"),
        (b"{}", r"no object at 'map': the member is missing.*`nothing: \[missing\]`"),
        (b'{"map": null}', r"no object at 'map': the value is null.*`nothing: \[null\]`"),
    ],
)
@pytest.mark.parametrize("size", [3, 1000])
def test_an_object_without_distinct_records_is_refused(body: bytes, words: str, size: int) -> None:
    with pytest.raises(SourceRefused, match=words):
        read(body, "map", [size], record_key="id")


@pytest.mark.parametrize("empty", [{}, []])
def test_an_empty_object_holds_no_records(empty: object) -> None:
    assert read({"map": empty}, "map", record_key="id") == []


def test_a_member_that_is_not_an_object_is_unreadable() -> None:
    good, bad = read({"a": {"x": 1}, "b": [1]}, record_key="id")
    assert good == {"id": "a", "x": 1}
    assert (bad.reason, bad.raw) == ("not a JSON object", b'{"b":[1]}')  # type: ignore[attr-defined]


def test_an_error_in_a_list_is_found() -> None:
    errors = ErrorDocument(message=RecordPath.parse("errors[0].message"), code=RecordPath.parse('errors[0]."a.b"'))
    body = {"data": [], "errors": [{"message": "no quota", "a.b": 7}, {"message": "other"}]}
    with pytest.raises(SourceRefused, match="the API answers with an error 7: no quota"):
        read(body, "data", errors=errors)
    assert read({"data": [{"x": 1}], "errors": []}, "data", errors=errors) == [{"x": 1}]


def test_an_error_document_is_not_a_record() -> None:
    errors = ErrorDocument(message=RecordPath.parse("error.message"))
    with pytest.raises(SourceRefused, match="the API answers with an error: no quota"):
        read({"error": {"message": "no quota"}}, record_key="id", errors=errors)
    assert read({"errors": {"message": "x"}}, record_key="id", errors=errors) == [{"id": "errors", "message": "x"}]


def test_an_array_names_the_key_that_reads_an_object() -> None:
    with pytest.raises(SourceRefused, match=r"no array at 'map': the value is an object.*declare `record_key`"):
        read({"map": {"a": {}}}, "map")


def test_repeated_names_are_seen_far_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = b",".join(b'"k%d":{}' % number for number in range(3000))
    with pytest.raises(SourceRefused, match="the member 'k7' is repeated"):
        read(b'{"map": {%s,"k7":{}}}' % sent, "map", record_key="id")
    monkeypatch.setattr(members, "MOST", 2999)
    with pytest.raises(SourceRefused, match="more than 2,999 members"):
        read(b'{"map": {%s}}' % sent, "map", record_key="id")


@pytest.mark.parametrize("record_key", [None, "id"])
@pytest.mark.parametrize("end", [5, 9, 13, 20, 30, -1])
def test_a_cut_is_seen_anywhere(end: int, record_key: str | None) -> None:
    container = {"a": {"x": 1}, "b": {"x": 2}} if record_key else [{"x": 1}, {"x": 2}]
    body = json.dumps({"map": container, "z": {"y": [1]}}).encode()
    for size in (1, 1000):
        with pytest.raises(StreamIncomplete, match="ends early"):
            read(body[:end], "map", [size], record_key=record_key)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"a.b": {"c": [{"x": 1}]}, "a": {"b": {"c": [{"x": 2}]}}}, '"a.b".c'),
        ({"a": [{"c": [{"x": 2}]}, {"c": [{"x": 1}]}]}, "a[1].c"),
        ({"a": [[{"x": 2}], [{"x": 1}]], "item": [{"x": 3}]}, "a[1]"),
        ({"item": {"item": [{"x": 1}]}, "a": [{"item": [{"x": 2}]}]}, "item.item"),
        ([{"x": 1}], ""),
        ({"@odata.value": [{"x": 1}], "@odata": {"value": [{"x": 2}]}}, '"@odata.value"'),
        ({"": [{"x": 2}], " a": [{"x": 1}]}, '" a"'),
    ],
)
@pytest.mark.parametrize("size", [1, 5, 1000])
def test_a_path_leads_to_one_array(body: object, path: str, size: int) -> None:
    assert read(body, path, [size]) == [{"x": 1}]


@pytest.mark.parametrize("path", ["a[].b", "a[k=v].b", "a..b", "a["])
def test_a_path_to_several_arrays_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError):
        read({}, path)


@pytest.mark.parametrize(
    ("body", "path", "words"),
    [
        ({"a": []}, "a[0].b", "no array at .*: the member is missing"),
        ({"a": [{"b": 1}]}, "a[0].b", "the value is a number"),
        ({"a": {"b": []}}, "a[0].b", "the value is an object"),
        ([], "a", "the value is an array"),
    ],
)
def test_what_is_there_instead_is_named(body: object, path: str, words: str) -> None:
    with pytest.raises(SourceRefused, match=words):
        read(body, path)


class _Long:
    """A document of many records, made while it is read."""

    def __init__(self, head: bytes, record: bytes, count: int, tail: bytes) -> None:
        self._pieces = chain([head], (record % (number, number) for number in range(count)), [tail])

    def read(self, _size: int = -1, /) -> bytes:
        return b"".join(islice(self._pieces, 200))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layout", "document"),
    [
        ({"record_key": "id"}, (b'{"map":{', b'"k%d":{"a":"%0100d"},', b'"z":{}}}')),
        ({"names": ("a", "b")}, (b'{"map":[', b'[%d,"%0100d"],', b"[0,0]]}")),
    ],
)
def test_memory_does_not_grow_with_the_records(layout: dict[str, object], document: tuple[bytes, bytes, bytes]) -> None:
    peaks = []
    head, record, tail = document
    for count in (3_000, 30_000):
        source = _Long(head, record, count, tail)
        tracemalloc.start()
        opened = open_document(WireFormat.JSON, source, Layout(FLOWS, "map", whole=True, **layout))  # type: ignore[arg-type]
        records = sum(len(as_mappings(piece)) for piece in opened.slices())
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert records == count + 1
    assert peaks[1] < peaks[0] + (1 << 20)


def test_errors_are_platform_errors_for_noise() -> None:
    for noise in (b"[1,]", b'{"map":{"a":{}', b'{"map":{"a":}}', b'{"map":{"a":{}}}x'):
        with pytest.raises(PlatformError):
            read(noise, "map", record_key="id")
