"""Blocks of JSON by templates and Arrow: they give the same as the reference, or the reference gets the block."""

import io
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flows_platform.columns.casting import as_mappings
from flows_platform.columns.raw_records import Unreadable
from flows_platform.domain.schema import Column, ColumnType, TableSchema
from flows_platform.formats.decoders import Layout, open_document
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.formats.templates.blocks import ArrowLines
from flows_platform.sources.lanl_flows.schema import FLOWS
from tests.faults.hostile_bodies import HOSTILE, JSON
from tests.fetch.flow_bodies import json_body, row

from .read_in_blocks import TABLE, read, read_alike

SIZES = st.lists(st.integers(1, 400), min_size=1, max_size=5)


NULLABLE = [Column("a", ColumnType.INT64, "", nullable=True), Column("b", ColumnType.STRING, "", nullable=True)]
LITERALS = {
    ColumnType.INT64: ["0", "-1", "9007199254740993", "9223372036854775807", "-9223372036854775808"],
    ColumnType.STRING: ['"x"', '"},{"', '"}\\n{"', '"\\u0000"', '"é\\u00e9😀"', '"\\ud83d\\ude00"', '"\\\\\\""', '""'],
    ColumnType.TIMESTAMP: ['"2014-01-01T00:00:00Z"', '"soon"', '"10000-01-01T00:00:00Z"'],
    ColumnType.BOOL: ["true", "false"],
    ColumnType.DATE: ['"2024-02-29"', '"2024-02-30"', '"0000-01-01"'],
    ColumnType.NUMERIC: ["0", "-1.50", "15e-1", "12345678901234567890.105000001", "1e-10", "-0.0"],
}
NUMBERS = ["-0", "5.0", "1e3", "01", "+1", "0x1f", "NaN", "Infinity", "9223372036854775808", "/**/1", "1//", "1 2"]
TEXTS = ['"1"', '"\x01"', '"\x7f"', '"\n"', "'x'", '"x', '"\\x"', '"\\ud800"', '"1","z":2']
ODD = [*NUMBERS, *TEXTS, "7", "null", "true", "tru", "{}", "[1]", ""]
GOOD_SEPARATORS = [",", " ,", ", ", ",\n", "\r\n,\t"]
SEPARATORS = [*GOOD_SEPARATORS, "", "\n", ",,", ";", ",\ufeff", ",\x00", ",\x0c", ",7,", ",{},", ",[],", "},"]
NAMES = ['"c1"', '"c2"', '"c3"', '"\\u0063\u0031"', '"c9"', '""', "c1"]


@st.composite
def contents(draw: st.DrawFn) -> tuple[TableSchema, str]:
    """A schema, and a block of its records with one fault or none."""
    types = draw(st.lists(st.sampled_from(sorted(LITERALS)), min_size=1, max_size=3))
    columns = tuple(
        Column(f"c{position}", kind, "", nullable=draw(st.booleans())) for position, kind in enumerate(types, 1)
    )
    names = [f'"{column.name}"' for column in columns]
    values = st.tuples(*(st.sampled_from(LITERALS[kind]) for kind in types)).map(list)
    records = [list(zip(names, texts, strict=True)) for texts in draw(st.lists(values, min_size=1, max_size=6))]
    separators = draw(st.lists(st.sampled_from(GOOD_SEPARATORS), min_size=len(records) - 1, max_size=len(records) - 1))
    record = draw(st.sampled_from(records))
    position = draw(st.integers(0, len(record) - 1))
    match draw(st.sampled_from(["nothing", "value", "name", "order", "missing", "twice", "separator"])):
        case "value":
            record[position] = (record[position][0], draw(st.sampled_from(ODD)))
        case "name":
            record[position] = (draw(st.sampled_from(NAMES)), record[position][1])
        case "order":
            record.reverse()
        case "missing":
            del record[position]
        case "twice":
            record.append(record[position])
        case "separator" if separators:
            separators[draw(st.integers(0, len(separators) - 1))] = draw(st.sampled_from(SEPARATORS))
    texts = ["{" + ", ".join(f"{name}: {value}" for name, value in record) + "}" for record in records]
    return TableSchema("t", "", columns, "c1", "c1"), texts[0] + "".join(
        map("".join, zip(separators, texts[1:], strict=True))
    )


def document(content: str) -> bytes:
    """With two records before the block, so that all of it is one block."""
    return f'{{"records":[{{}},{{}},{content}],"end":{{"count":1}}}}'.encode()


def one_block(body: bytes) -> list[int]:
    """Sizes of pieces: the first record, all others, and the bytes after them. All others but one are then a block."""
    first = body.find(b"}") + 1
    return [first, max(body.rfind(b"]") - first, 1), 1 << 18]


ONE = TableSchema("t", "", (Column("c1", ColumnType.STRING, ""),), "c1", "c1")


@given(contents(), SIZES)
@example((ONE, '{"c1":"x"}{"c1":"},{"}'), [400])
@example((ONE, '\ufeff{"c1":"x"},{"c1":"y"}'), [400])
@example((ONE, '{"c1":"x","c1":"x"},{}'), [400])
def test_any_block_gives_the_same_records_or_the_same_complaint(
    table: tuple[TableSchema, str], sizes: list[int]
) -> None:
    schema, content = table
    read_alike(document(content), sizes, WireFormat.JSON, schema=schema)
    body = document(content)
    read_alike(body, one_block(body), WireFormat.JSON, schema=schema)


@given(st.binary(max_size=3), st.integers(0, 400))
def test_any_bytes_instead_of_others(other: bytes, position: int) -> None:
    body = json_body([row(number) for number in range(1, 5)])
    spoilt = body[:position] + other + body[position + len(other) :]
    read_alike(spoilt, one_block(body), WireFormat.JSON, schema=FLOWS)


LONG = {
    "json: a million empty records",
    "json: half a million decimals in a record",
    "json: half a million decimals around the records",
    "json: a megabyte of decimals around the records",
    "json: text of 64 MB",
    "json: key of 64 MB",
}


def named(name: str) -> object:
    """A hostile body for the tests; one that takes both parsers seconds is left to the slow ones."""
    return pytest.param(name, marks=pytest.mark.slow) if name in LONG else name


@pytest.mark.parametrize(
    "name", [named(name) for name, case in HOSTILE.items() if case.kind == JSON and case.coding == "identity"]
)
def test_a_hostile_body_is_refused_alike(name: str) -> None:
    """Unchanged, and with the bad record among good ones."""
    body = HOSTILE[name].body()
    good = json.dumps(row(1)).encode()
    after_many = body.replace(good, b",".join([good] * 4), 1)
    for variant in (body, after_many, after_many.replace(b'],"end"', b"," + good + b'],"end"')):
        read_alike(variant, one_block(variant), WireFormat.JSON, schema=FLOWS)


def batches(body: bytes, schema: TableSchema = FLOWS) -> int:
    return read(body, one_block(body), WireFormat.JSON, schema=schema)[1]


def test_flat_records_come_as_batches() -> None:
    body = json_body([row(number, src_comp=", {", dst_comp="é:") for number in range(1, 40)]).replace(
        b"\\u00e9", "é".encode()
    )
    assert batches(body) == 1
    assert batches(body.replace(b"}, {", b"},\n{")) == 1


def test_a_null_that_was_sent_is_one() -> None:
    nullable = TableSchema("t", "", (*TABLE.columns, Column("c", ColumnType.BOOL, "", nullable=True)), "a", "a")
    rows = [{"a": 1, "b": "x", "c": None}] * 4
    assert batches(json_body(rows), nullable) == 1
    assert batches(json_body([*rows, {"a": 1, "b": "x"}, *rows]), nullable) == 0  # a missing field would be NULL too


def test_fields_for_the_column_of_what_is_left_are_read_by_ijson() -> None:
    extra = Column("rest", ColumnType.JSON, "", nullable=True)
    schema = TableSchema("t", "", (*TABLE.columns, extra), "a", "a")
    rows: list[dict[str, object]] = [{"a": number, "b": "x"} for number in range(9)]
    for sent in (rows, [*rows, {"a": 9, "b": "x", "more": 1.5}, *rows]):
        body = json_body(sent)
        found, cut = read(body, one_block(body), WireFormat.JSON, schema=schema, extra="rest")
        assert cut == (sent is rows)
        assert found == read(body, [400], WireFormat.JSON)[0]


@pytest.mark.parametrize("start", [b"", b" \t", b"\n\r\n", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("rest", [b"", b"\n", b' {"a":1}\n', b'\n{"a":1,"b":"x"}\n', b" null\n"])
def test_arrow_is_given_no_block_that_begins_with_null(start: bytes, rest: bytes) -> None:
    """Without the guard, a signal would end the interpreter."""
    assert ArrowLines(NULLABLE).read(start + b"null" + rest) is None


@pytest.mark.parametrize("line", [b"null", b"{}", b'{"a":null}'])
def test_a_record_of_nothing_is_left_to_the_reference(line: bytes) -> None:
    assert ArrowLines(NULLABLE).read(b'{"a":1,"b":"x"}\n' + line + b"\n") is None


@pytest.mark.parametrize("text", [b"\xff", b"x\xc3", b"\xed\xa0\x80", b"\xc0\xaf"])
def test_a_text_that_is_not_utf_8_is_left_to_the_reference(text: bytes) -> None:
    assert ArrowLines(NULLABLE).read(b'{"a":1,"b":"' + text + b'"}\n') is None


@pytest.mark.parametrize("odd", [b"null", b"7", b"true", b'"x"', b"[]", b"[{}]", b"nul"])
@pytest.mark.parametrize("position", [0, 1, 20, 40])
def test_a_line_that_is_not_an_object_is_a_reject_at_any_position(odd: bytes, position: int) -> None:
    lines = [json.dumps(row(number)).encode() for number in range(40)]
    body = b"".join(line + b"\n" for line in [*lines[:position], odd, *lines[position:]])
    document = open_document(WireFormat.NDJSON, io.BytesIO(body), Layout(FLOWS))
    records = [record for piece in document.slices() for record in as_mappings(piece)]
    assert [record.raw for record in records if isinstance(record, Unreadable)] == [odd]
    assert len(records) == 41
    assert isinstance(records[position], Unreadable)
