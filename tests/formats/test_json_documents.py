"""JSON documents with an envelope around the records, in any pieces; errors with status 200."""

import json
from collections.abc import Mapping
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows_platform.columns.casting import as_mappings
from flows_platform.columns.paths import RecordPath
from flows_platform.domain.errors import (
    MalformedDocument,
    PlatformError,
    SourceRefused,
    SourceUnavailable,
    StreamIncomplete,
)
from flows_platform.formats.decoders import Layout, envelope_of, open_document
from flows_platform.formats.protocol.envelope import ErrorDocument
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.sources.lanl_flows.schema import FLOWS

from .test_guards import SIZES, Cut

ERRORS = ErrorDocument(
    message=RecordPath.parse("error.message"), code=RecordPath.parse("error.code"), transient=("429",)
)
TOTAL = RecordPath.parse("page.total")


def layout(path: str = "data.items", **options: object) -> Layout:
    return Layout(FLOWS, path, **{"whole": True, **options})  # type: ignore[arg-type]


def read(body: bytes, layout: Layout, sizes: list[int] | None = None) -> tuple[list[object], Mapping[str, object]]:
    document = open_document(WireFormat.JSON, Cut(body, sizes or [1 << 18]), layout)
    records: list[object] = [record for piece in document.slices() for record in as_mappings(piece)]
    return records, envelope_of(document)


NAMES = st.sampled_from(["a", "b", "item", "items", "data", "total", "é"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text('ab\\"{[:é😀\n', max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=4)


@given(OBJECTS, st.lists(OBJECTS, max_size=4), OBJECTS, OBJECTS, SIZES)
def test_the_envelope_is_the_document_without_its_records(
    before: dict[str, object],
    records: list[dict[str, object]],
    inside: dict[str, object],
    after: dict[str, object],
    sizes: list[int],
) -> None:
    for outer in (before, after):
        outer.pop("data", None)
    inside.pop("items", None)
    after = {name: value for name, value in after.items() if name not in before}
    document = {**before, "data": {**inside, "items": records, "end": 1}, **after}
    found, envelope = read(json.dumps(document).encode(), layout(), sizes)
    assert found == records
    assert envelope == {**before, "data": {**inside, "items": [], "end": 1}, **after}


@given(st.lists(OBJECTS, max_size=4), SIZES)
def test_the_document_may_be_the_array(records: list[dict[str, object]], sizes: list[int]) -> None:
    assert read(json.dumps(records).encode(), layout(""), sizes) == (records, {})


@pytest.mark.parametrize("document", [{"item": {"a": 1}}, {"items": [{}]}, 7, None, "[]"])
def test_another_document_than_the_array_is_refused(document: object) -> None:
    with pytest.raises(SourceRefused, match="no array at ''"):
        read(json.dumps(document).encode(), layout(""))


def test_the_envelope_is_kept_whatever_is_asked_for() -> None:
    body = b'{"page": {"total": 1}, "data": {"items": [{"a": 1.50}]}, "next": "/2"}'
    around = {"page": {"total": 1}, "data": {"items": []}, "next": "/2"}
    for options in ({"whole": True}, {"whole": False}, {"whole": False, "errors": ERRORS}):
        assert read(body, layout(**options)) == ([{"a": Decimal("1.50")}], around)


@given(st.integers(0, 400), SIZES)
def test_the_envelope_is_kept_also_where_records_come_in_blocks(count: int, sizes: list[int]) -> None:
    values = dict.fromkeys(FLOWS.names, "x")
    records = [{**values, "src_comp": f"]}} {number}"} for number in range(count)]
    body = json.dumps({"x": [{"data": []}], "data": {"items": records, "next": "]"}, "more": True}).encode()
    document = open_document(WireFormat.JSON, Cut(body, sizes), layout(whole=False))
    found: list[object] = []
    for piece in document.slices():
        found += as_mappings(piece)
    assert found == records
    assert envelope_of(document) == {"x": [{"data": []}], "data": {"items": [], "next": "]"}, "more": True}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ('{"data": {"items": [{"a": 1}], "items": []}}', "data.items"),
        ('{"data": {"items": [{"a": 1}]}, "data": {"items": []}}', "data"),
        ('{"data": null, "data": {"items": [{"a": 1}]}}', "data"),
        ('{"data": {"items": null, "items": [{"a": 1}]}}', "data.items"),
        ('{"page": {"total": 1, "total": 2}, "data": {"items": [{"a": 1}]}}', "page.total"),
        ('{"data": {"items": [{"a": 1}]}, "next": null, "next": "/2"}', "next"),
    ],
)
def test_a_name_repeated_around_the_records_is_refused(body: str, path: str) -> None:
    with pytest.raises(SourceRefused, match=f"the member '{path}' is repeated"):
        read(body.encode(), layout())


@given(st.sampled_from("\f\v"), st.data())
def test_only_what_json_calls_white_space_is_white_space(blank: str, data: st.DataObject) -> None:
    text = '{"data" : {"items": [{"a": 1, "b": "c d"}]} }'
    position = data.draw(st.integers(0, len(text)))
    with pytest.raises(MalformedDocument, match="not valid JSON"):
        read((text[:position] + blank + text[position:]).encode(), layout(), data.draw(SIZES))


@given(SIZES)
def test_a_byte_order_mark_may_lead_the_document(sizes: list[int]) -> None:
    assert read('\ufeff{"data": {"items": [{"a": "\ufeff"}]}}'.encode(), layout(), sizes)[0] == [{"a": "\ufeff"}]
    with pytest.raises(MalformedDocument, match="not valid JSON"):
        read('\ufeff\ufeff{"data": {"items": []}}'.encode(), layout(), sizes)


@pytest.mark.parametrize(
    ("body", "there"),
    [
        ({}, "missing"),
        ({"data": {}}, "missing"),
        ({"data": None}, "null"),
        ({"data": {"items": None}}, "null"),
        (None, "null"),
    ],
)
def test_no_array_is_an_error_unless_declared_to_mean_nothing(body: object, there: str) -> None:
    text, other = json.dumps(body).encode(), ({"missing", "null"} - {there}).pop()
    assert read(text, layout(nothing=frozenset({there})))[0] == []
    for nothing in (frozenset[str](), frozenset({other})):
        with pytest.raises(SourceRefused, match=rf"no array at 'data.items'.*`nothing: \[{there}\]`"):
            read(text, layout(nothing=nothing))


@pytest.mark.parametrize("value", [{}, "", "none", 0, False, {"items": []}])
def test_another_value_than_an_array_never_means_nothing(value: object) -> None:
    with pytest.raises(SourceRefused, match=r"no array at 'data\.items': the value is "):
        read(json.dumps({"data": {"items": value}}).encode(), layout(nothing=frozenset({"missing", "null"})))


def test_a_name_with_points_is_one_name() -> None:
    body = b'{"data.items": [{"a": 1}], "@odata.value": [{"b": 2}]}'
    assert read(body, layout('"@odata.value"'))[0] == [{"b": 2}]
    with pytest.raises(SourceRefused, match=r"no array at 'data\.items'"):
        read(body, layout())


@pytest.mark.parametrize(
    "body",
    [
        {"page": {"total": 0}},
        {"page": {"total": "0"}},
        {"page": {"total": 0}, "data": {"items": None}},
        {"page": {"total": 0}, "data": {"items": []}},
    ],
)
def test_where_the_total_is_0_the_array_may_be_missing(body: dict[str, object]) -> None:
    assert read(json.dumps(body).encode(), layout(total=TOTAL))[0] == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"page": {"total": 1}},
        {"page": {"total": None}},
        {"page": {"total": False}},
        {"page": {"total": ""}},
        {"page": {"total": []}},
        {"total": 0},
        {"data": {"items": {}}},
    ],
)
def test_otherwise_a_missing_array_is_not_an_empty_answer(body: dict[str, object]) -> None:
    with pytest.raises(SourceRefused, match=r"no array at 'data\.items'"):
        read(json.dumps(body).encode(), layout(total=TOTAL))


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        ({"message": "slow down", "code": 429}, SourceUnavailable, r"with an error 429: slow down\.$"),
        ({"message": "no such field.", "code": "E7"}, SourceRefused, r"with an error E7: no such field\.$"),
        ({"message": ["a", "b"]}, SourceRefused, r"with an error: \['a', 'b'\]\.$"),
        ({"message": "x" * 5000, "code": "y" * 5000}, SourceRefused, f"error {'y' * 80}: {'x' * 500}" + r"\.$"),
    ],
)
@pytest.mark.parametrize("rest", [{}, {"data": {"items": [{"a": 1}]}}, {"page": {"total": 0}}])
def test_an_error_with_status_200_is_raised_by_its_code(
    error: dict[str, object], kind: type[PlatformError], message: str, rest: dict[str, object]
) -> None:
    for document in ({**rest, "error": error}, {"error": error, **rest}):
        with pytest.raises(kind, match=message):
            read(json.dumps(document).encode(), layout(errors=ERRORS, total=TOTAL))


@pytest.mark.parametrize("error", [None, {}, [], "", {"message": None}, {"message": ""}, {"message": False}])
def test_an_error_that_says_nothing_is_none(error: object) -> None:
    body = json.dumps({"error": error, "data": {"items": [{"a": 1}]}}).encode()
    assert read(body, layout(errors=ERRORS))[0] == [{"a": 1}]


def test_an_error_document_that_is_cut_is_incomplete() -> None:
    with pytest.raises(StreamIncomplete):
        read(b'{"error": {"message": "quota', layout(errors=ERRORS))


def test_keys_that_repeat_in_a_record_are_refused_also_with_an_envelope() -> None:
    with pytest.raises(SourceRefused, match="repeat keys"):
        read(b'{"page": {"a": [{"b": 1}]}, "data": {"items": [{"a": {"b": 1, "b": 2}}]}}', layout())
