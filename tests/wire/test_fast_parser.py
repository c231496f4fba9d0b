"""The fast parser of JSON: what it gives ijson gives too, and where it might not, it leaves the block to ijson."""

import io
import json
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.schema import Column, ColumnType, TableSchema
from flows_platform.fetch.windowed_api import WindowedApi
from flows_platform.sources.lanl_flows.schema import FLOWS
from flows_platform.wire.casting import as_mappings
from flows_platform.wire.decode.arrow_lines import ArrowLines
from flows_platform.wire.decode.documents import Layout, open_document
from flows_platform.wire.decode.json_blocks import JsonBlock
from flows_platform.wire.decode.json_guard import Surrogates
from flows_platform.wire.formats import WireFormat
from flows_platform.wire.mapping import RecordMapping
from flows_platform.wire.parser import ARROW_READS, Parser
from flows_platform.wire.raw_records import Unreadable
from tests.faults.hostile_bodies import HOSTILE, JSON
from tests.fetch.flow_bodies import json_body, row

from .read_in_blocks import TABLE, cut_alike, read, slices_of_one_record

SIZES = st.lists(st.integers(1, 400), min_size=1, max_size=5)


@pytest.fixture(scope="module", autouse=True)
def _a_slice_for_each_record() -> Iterator[None]:
    with slices_of_one_record():
        yield


LINES = ArrowLines(TABLE.columns)
NULLABLE = [Column("a", ColumnType.INT64, "", nullable=True), Column("b", ColumnType.STRING, "", nullable=True)]
FOR_IJSON = {"c": ColumnType.FLOAT64, "rest": ColumnType.JSON}
LITERALS = {
    ColumnType.INT64: ["0", "-1", "9007199254740993", "9223372036854775807", "-9223372036854775808"],
    ColumnType.STRING: ['"x"', '"},{"', '"}\\n{"', '"\\u0000"', '"é\\u00e9😀"', '"\\ud83d\\ude00"', '"\\\\\\""', '""'],
    ColumnType.TIMESTAMP: ['"2014-01-01T00:00:00Z"', '"soon"', '"10000-01-01T00:00:00Z"'],
    ColumnType.BOOL: ["true", "false"],
}
NUMBERS = ["-0", "5.0", "1e3", "01", "+1", "0x1f", "NaN", "Infinity", "9223372036854775808", "/**/1", "1//", "1 2"]
TEXTS = ['"1"', '"\x01"', '"\x7f"', '"\n"', "'x'", '"x', '"\\x"', '"\\ud800"', '"1","z":2']
ODD = [*NUMBERS, *TEXTS, "7", "null", "true", "tru", "{}", "[1]", ""]
GOOD_SEPARATORS = [",", " ,", ", ", ",\n", "\r\n,\t"]
SEPARATORS = [*GOOD_SEPARATORS, "", "\n", ",,", ";", ",\ufeff", ",\x00", ",\x0c", ",7,", ",{},", ",[],", "},"]
NAMES = ['"c1"', '"c2"', '"c3"', '"\\u0063\u0031"', '"c9"', '""', "c1"]


@st.composite
def contents(draw: st.DrawFn) -> tuple[TableSchema, str]:
    """A schema, and a block of its records: as they should be but for one thing, or for none."""
    types = draw(st.lists(st.sampled_from(sorted(LITERALS)), min_size=1, max_size=3))
    columns = tuple(Column(f"c{place}", each, "", nullable=draw(st.booleans())) for place, each in enumerate(types, 1))
    names = [f'"{column.name}"' for column in columns]
    values = st.tuples(*(st.sampled_from(LITERALS[each]) for each in types)).map(list)
    records = [list(zip(names, each, strict=True)) for each in draw(st.lists(values, min_size=1, max_size=6))]
    separators = draw(st.lists(st.sampled_from(GOOD_SEPARATORS), min_size=len(records) - 1, max_size=len(records) - 1))
    record = draw(st.sampled_from(records))
    place = draw(st.integers(0, len(record) - 1))
    match draw(st.sampled_from(["nothing", "value", "name", "order", "missing", "twice", "separator"])):
        case "value":
            record[place] = (record[place][0], draw(st.sampled_from(ODD)))
        case "name":
            record[place] = (draw(st.sampled_from(NAMES)), record[place][1])
        case "order":
            record.reverse()
        case "missing":
            del record[place]
        case "twice":
            record.append(record[place])
        case "separator" if separators:
            separators[draw(st.integers(0, len(separators) - 1))] = draw(st.sampled_from(SEPARATORS))
    texts = ["{" + ", ".join(f"{name}: {value}" for name, value in each) + "}" for each in records]
    return TableSchema("t", "", columns, "c1", "c1"), texts[0] + "".join(
        map("".join, zip(separators, texts[1:], strict=True))
    )


def document(content: str) -> bytes:
    """With two records before the block: so all of it is one."""
    return f'{{"records":[{{}},{{}},{content}],"end":{{"count":1}}}}'.encode()


def one_block(body: bytes) -> list[int]:
    """Sizes of pieces: the first record, all others, and what follows them. So the others, but one, are a block."""
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
    cut_alike(document(content), sizes, WireFormat.JSON, schema)
    body = document(content)
    cut_alike(body, one_block(body), WireFormat.JSON, schema)


@given(st.binary(max_size=3), st.integers(0, 400))
def test_any_bytes_in_the_place_of_others(other: bytes, place: int) -> None:
    body = json_body([row(number) for number in range(1, 5)])
    spoilt = body[:place] + other + body[place + len(other) :]
    cut_alike(spoilt, one_block(body), WireFormat.JSON, FLOWS)


@pytest.mark.parametrize(
    "name", [name for name, each in HOSTILE.items() if each.kind == JSON and each.coding == "identity"]
)
def test_a_hostile_body_is_refused_alike(name: str) -> None:
    """As it is, and with the record at fault among good ones."""
    body = HOSTILE[name].body()
    good = json.dumps(row(1)).encode()
    after_many = body.replace(good, b",".join([good] * 4), 1)
    for each in (body, after_many, after_many.replace(b'],"end"', b"," + good + b'],"end"')):
        cut_alike(each, one_block(each), WireFormat.JSON, FLOWS)


def batches(body: bytes, schema: TableSchema = FLOWS) -> int:
    return read(body, one_block(body), WireFormat.JSON, schema=schema, blocks=True, parser=Parser.FAST)[1]


def test_flat_records_come_as_batches() -> None:
    body = json_body([row(number, src_comp=", {", dst_comp="é\n") for number in range(1, 40)])
    assert batches(body) == 1
    assert batches(body.replace(b"}, {", b"},\n{")) == 1


def test_a_null_that_was_sent_is_one() -> None:
    nullable = TableSchema("t", "", (*TABLE.columns, Column("c", ColumnType.BOOL, "", nullable=True)), "a", "a")
    rows = [{"a": 1, "b": "x", "c": None}] * 4
    assert batches(json_body(rows), nullable) == 1
    assert batches(json_body([*rows, {"a": 1, "b": "x"}]), nullable) == 0  # which would be NULL too


@pytest.mark.parametrize(
    "odd",
    [
        '{"a":1,"b":"x"}{"a":1,"b":"x"}',
        '{"a":1,"b":"x"}{}',
        '{"a":1,"b":"x"},\x00{"a":1,"b":"x"}',
        '\ufeff{"a":1,"b":"x"}',
        '{"a":1,"b":"x","c":1}',
        '{"a":1,"a":1}',
        '{"a":1,"a":1,"b":"x"}',
        '{"a":"x","b":1}',
    ],
)
def test_what_is_not_certain_is_left_to_ijson(odd: str) -> None:
    content = f'{odd},{{"a":2,"b":"x"}}'.encode()
    assert JsonBlock(content, content.count(b":"), nested=False, surrogates=None).batch(LINES) is None


def test_a_block_of_nested_records_or_with_halves_of_pairs_is_left_to_ijson() -> None:
    content = b'{"a":1,"b":"x"},{"a":2,"b":"y"}'
    assert JsonBlock(content, 4, nested=False, surrogates=None).batch(LINES) is not None
    assert JsonBlock(content, 4, nested=True, surrogates=None).batch(LINES) is None
    assert JsonBlock(content, 4, nested=False, surrogates=Surrogates()).batch(LINES) is None


def test_it_says_what_it_does_not_do() -> None:
    number, rest = (Column(name, kind, "", nullable=True) for name, kind in FOR_IJSON.items())
    schema = TableSchema("t", "", (*TABLE.columns, number, rest), "a", "a")
    with pytest.raises(ConfigurationError, match=r"no JSON values, as in c \(float64\)\. Set it to reference"):
        WindowedApi("http://x", schema, parser=Parser.FAST, extra_column="rest")
    with pytest.raises(ConfigurationError, match="these are mapped to columns"):
        WindowedApi("http://x", TABLE, parser=Parser.FAST, mapping=RecordMapping(()))
    assert set(ColumnType) - ARROW_READS == set(FOR_IJSON.values())


def test_fields_for_the_column_of_what_is_left_are_read_by_ijson() -> None:
    extra = Column("rest", ColumnType.JSON, "", nullable=True)
    schema = TableSchema("t", "", (*TABLE.columns, extra), "a", "a")
    rows: list[dict[str, object]] = [{"a": number, "b": "x"} for number in range(9)]
    for sent in (rows, [*rows, {"a": 9, "b": "x", "more": 1.5}]):
        body = json_body(sent)
        found, cut = read(
            body, one_block(body), WireFormat.JSON, schema=schema, blocks=True, parser=Parser.FAST, extra="rest"
        )
        assert cut == (sent is rows)
        assert found == read(body, [400], WireFormat.JSON)[0]


@pytest.mark.parametrize("start", [b"", b" \t", b"\n\r\n", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("rest", [b"", b"\n", b' {"a":1}\n', b'\n{"a":1,"b":"x"}\n', b" null\n"])
def test_arrow_is_given_no_block_that_begins_with_null(start: bytes, rest: bytes) -> None:
    """The interpreter would end by a signal."""
    assert ArrowLines(NULLABLE).read(start + b"null" + rest) is None


@pytest.mark.parametrize("line", [b"null", b"{}", b'{"a":null}'])
def test_a_record_of_nothing_is_left_to_the_reference(line: bytes) -> None:
    assert ArrowLines(NULLABLE).read(b'{"a":1,"b":"x"}\n' + line + b"\n") is None


@pytest.mark.parametrize("odd", [b"null", b"7", b"true", b'"x"', b"[]", b"[{}]", b"nul"])
@pytest.mark.parametrize("place", [0, 1, 20, 40])
def test_a_line_that_is_no_object_is_a_reject_wherever_it_stands(odd: bytes, place: int) -> None:
    lines = [json.dumps(row(number)).encode() for number in range(40)]
    body = b"".join(line + b"\n" for line in [*lines[:place], odd, *lines[place:]])
    document = open_document(WireFormat.NDJSON, io.BytesIO(body), Layout(FLOWS))
    records = [record for part in document.slices() for record in as_mappings(part)]
    assert [each.raw for each in records if isinstance(each, Unreadable)] == [odd]
    assert len(records) == 41
    assert isinstance(records[place], Unreadable)
