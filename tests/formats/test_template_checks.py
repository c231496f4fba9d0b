"""The checks of templates, of Arrow's lines and of CSV's, one by one: a block that fails one gives no batch."""

import csv
from collections.abc import Iterator

import pyarrow as pa
import pytest

from flows_platform.domain.errors import SourceUnavailable
from flows_platform.domain.schema import Column, TableSchema
from flows_platform.formats.csv.blocks import CsvReader
from flows_platform.formats.templates.blocks import ArrowLines, Flat, TemplateReader, _Blocks
from flows_platform.formats.templates.template import Template, json_templates, xml_template

from .templates_alike import table

LONGEST = 1 << 20
SCHEMA = table(a="int64", b="string")
SPACED = '{"a":   1   ,   "bbbb":   2   }'


def template(first: str, columns: tuple[Column, ...], comma: str = ",") -> Template:
    """The likeliest template that starts with the record."""
    text = first.encode()
    return json_templates(text + (comma or "\n").encode() + text, columns, comma)[0]


def rows(found: pa.RecordBatch | None) -> list[dict[str, object]] | None:
    return None if found is None else found.to_pylist()


JSON = template('{"a":1,"b":"x"}', SCHEMA.columns)


def test_records_that_repeat_the_first() -> None:
    block = '{"a":1,"b":"x"},{"a":-20,"b":"é, }"},{"a":0,"b":""}'
    found = JSON.read(block.encode(), LONGEST)
    assert rows(found) == [{"a": 1, "b": "x"}, {"a": -20, "b": "é, }"}, {"a": 0, "b": ""}]


@pytest.mark.parametrize(
    "block",
    [
        '{"a":1,"b":"x"},{"a":2}',
        '["a":1,"b":"x"},{"a":2,"b":"x"}',
        '{"a":1,"b":"x"},{"a":2,"b":"x"]',
        '{"a":1,"b":"x"};{"a":2,"b":"x"}',
        '{"a":1,"b":"x"},{"c":2,"b":"x"}',
        '{"a":1;"b":"x"},{"a":2,"b":"x"}',
        '{"a":1,"b":"x"},{"a":2,"c":"x"}',
        '{"a":1,"b":"\\"},{"a":2,"b":"x"}',
        '{"a":1,"b":"\\x"},{"a":2,"b":"x"}',
        '{"a":1,"b":"x\x1f"},{"a":2,"b":"x"}',
        '{"a":1,"b":"x"y"},{"a":2,"b":"x"}',
        '{"a":1,"b":","b":"x"}',
        '{"a":1,"b":"\udc00"},{"a":2,"b":"x"}',
        '{"a":,"b":"x"},{"a":2,"b":"x"}',
        '{"a":01,"b":"x"},{"a":2,"b":"x"}',
        '{"a":-0,"b":"x"},{"a":2,"b":"x"}',
        '{"a":0x1f,"b":"x"},{"a":2,"b":"x"}',
        '{"a":+1,"b":"x"},{"a":2,"b":"x"}',
        '{"a":1.0,"b":"x"},{"a":2,"b":"x"}',
        '{"a":1 ,"b":"x"},{"a":2,"b":"x"}',
        '{"a":9223372036854775808,"b":"x"},{"a":2,"b":"x"}',
        '{"a":-9223372036854775809,"b":"x"},{"a":2,"b":"x"}',
        '{"a":null,"b":"x"},{"a":2,"b":"x"}',
        '{"a":1}',
        '{"a":1,"b":"',
        "{",
        "",
    ],
)
def test_a_block_of_json_that_is_not_certain(block: str) -> None:
    assert JSON.read(block.encode("utf-8", "surrogatepass"), LONGEST) is None


def test_a_record_has_at_most_so_many_bytes() -> None:
    block = b'{"a":1,"b":"%s"},{"a":1,"b":""}' % (b"x" * 100)
    assert JSON.read(block, 200) is not None
    assert JSON.read(block, 90) is None


@pytest.mark.parametrize(
    "block", ['{"a":   ,   "bbbb":   2   }', '{"a":   1   ,   "bbbb":}', '{"a":   1   ,   "bbbb":   }']
)
def test_the_bytes_around_values_do_not_overlap(block: str) -> None:
    found = template(SPACED, table(a="int64", bbbb="int64").columns)
    assert found.read(SPACED.encode(), LONGEST) is not None
    assert found.read(block.encode(), LONGEST) is None


def test_a_colon_in_a_text() -> None:
    """A text with a colon needs another mark: a template whose mark is the colon gives no batch."""
    first = '{"a":1,"b":"12:00"}'
    assert rows(template(first, SCHEMA.columns).read(first.encode(), LONGEST)) == [{"a": 1, "b": "12:00"}]
    assert JSON.read(first.encode(), LONGEST) is None


LONG = table(some_long_name="int64", another_long_name="string", short="int64")


@pytest.mark.parametrize("position", range(len('{"some_long_name":1,"another_long_name":"x","short":3}')))
def test_each_byte_around_values_is_compared(position: int) -> None:
    first = '{"some_long_name":1,"another_long_name":"x","short":3}'
    found, spoilt = template(first, LONG.columns), bytearray(f"{first},{first},{first}".encode())
    assert found.read(bytes(spoilt), LONGEST) is not None
    position += len(first) + 1
    spoilt[position] ^= 1
    is_value = chr(spoilt[position] ^ 1) in "13" or chr(spoilt[position] ^ 1) == "x"
    assert (found.read(bytes(spoilt), LONGEST) is None) is not is_value


NULLS = table(a1="int64?", b1="string?", c1="bool?", d1="float64?")
WITH_NULLS = '{"a1":1,"b1":"x","c1":true,"d1":1.5}'


def nulls_of(block: str) -> list[dict[str, object]] | None:
    found = json_templates(f"{WITH_NULLS},{WITH_NULLS}".encode(), NULLS.columns, ",")[-1]
    return rows(found.read(block.encode(), LONGEST))


def test_values_or_nulls() -> None:
    empty = '{"a1":null,"b1":null,"c1":null,"d1":null}'
    assert nulls_of(f"{WITH_NULLS},{empty}") == [
        {"a1": 1, "b1": "x", "c1": True, "d1": 1.5},
        dict.fromkeys(NULLS.names),
    ]
    assert nulls_of(f"{empty},{empty}") == [dict.fromkeys(NULLS.names)] * 2


@pytest.mark.parametrize("name", NULLS.names)
@pytest.mark.parametrize(
    "value", ["nul", "nulL", "xull", "nnll", "nuul", "nulll", '"', '"x', 'x"', "", "x", "tru", "truE"]
)
def test_neither_values_nor_nulls(name: str, value: str) -> None:
    usual = {"a1": "1", "b1": '"x"', "c1": "true", "d1": "1.5"} | {name: value}
    block = "{" + ",".join(f'"{name}":{text}' for name, text in usual.items()) + "}"
    assert nulls_of(f"{WITH_NULLS},{block}") is None
    assert nulls_of(f"{block},{WITH_NULLS}") is None


@pytest.mark.parametrize(
    "value",
    [
        "01",
        "1.",
        ".5",
        "+1",
        "1e",
        "NaN",
        "Infinity",
        "0x1",
        "1_0",
        "9" * 400 + "9",
        "1e99999",
        "9007199254740993",
        "0.1234567890123456789",
    ],
)
def test_numbers_that_no_float_is_made_of(value: str) -> None:
    columns = table(a="float64", b="string").columns
    found = template('{"a":1.5,"b":"x"}', columns)
    assert rows(found.read(b'{"a":-2.5e1,"b":"x"}', LONGEST)) == [{"a": -25.0, "b": "x"}]
    assert found.read(b'{"a":%s,"b":"x"}' % value.encode(), LONGEST) is None


@pytest.mark.parametrize(
    ("columns", "record"),
    [
        (table(a="int64", b="string"), '{"a":1,"b":7}'),
        (table(a="int64", b="timestamp"), '{"a":1,"b":7}'),
        (table(a="int64", b="json"), '{"a":1,"b":"7"}'),
        (table(a="int64", b="string"), '{"a":1,"a":1,"b":"x"}'),
        (table(a="int64", b="string"), '{"a":1,"c":"x"}'),
        (table(a="int64", b="string", c="string"), '{"a":1,"b":"x"}'),
        (table(a="int64", b="string"), '{"a":1,\x0c"b":"x"}'),
        (table(a="int64", b="string"), '{"a":1,"b":"\\u0001"}'),
        (table(a="int64"), '{"a":1}'),
    ],
)
def test_records_without_a_template(columns: TableSchema, record: str) -> None:
    for comma in (",", ""):
        assert json_templates(f"{record}{comma or '\n'}{record}".encode(), columns.columns, comma) == []


def test_no_line_goes_over_two() -> None:
    text = b'{"a":1,\n"b":"x"}'
    assert json_templates(text + b"," + text, SCHEMA.columns, ",") != []
    assert json_templates(text + b"\n" + text, SCHEMA.columns, "") == []


XML = xml_template(b"<record><a>1</a><b>x</b></record>" * 2, "record", SCHEMA.columns)[0]


@pytest.mark.parametrize(
    "value",
    [
        "&amp;",
        "x>",
        "<x/>",
        "<!-- -->",
        "\ufffe",
        "\uffff",
        "\x01",
        "\n",
        "\ud800",
        "]]>",
        "</b><b>",
        "</b></record><record><a>1</a><b",
    ],
)
def test_a_text_of_xml_that_is_not_certain(value: str) -> None:
    record = "<record><a>1</a><b>{}</b></record>"
    assert rows(XML.read((record.format("é") * 2).encode(), LONGEST)) == [{"a": 1, "b": "é"}] * 2
    block = record.format("x") + record.format(value) + record.format("x")
    assert XML.read(block.encode("utf-8", "surrogatepass"), LONGEST) is None


def test_xml_of_other_children_has_no_template() -> None:
    for record in (b"<a>1</a>", b"<a>1</a><b>x</b><b>y</b>", b"<a>1</a><c>x</c>", b"<a>1</a><b>x</b>y"):
        assert xml_template(b"<record>%s</record>" % record * 2, "record", SCHEMA.columns) == []


LINES = ArrowLines(SCHEMA.columns)
LINE = b'{"a":1,"b":"x"}\n'


@pytest.mark.parametrize(
    "lines",
    [
        b'{"a":1,"b":"x"}{"a":1,"b":"x"}\n\n',
        b'{"a":1,\n"b":"x"}{"a":1,"b":"x"}\n',
        b'{"a":1,"b":"x"}\n\n',
        b'{"a":1}\n' + LINE,
        b'{"a":1,"b":"x"} \n' + LINE,
        LINE + b'{"a":1,"b":"x"}',
        b"",
    ],
)
def test_lines_that_arrow_might_read_otherwise(lines: bytes) -> None:
    assert LINES.read_whole(LINE + b'{"a":2,"b":"y"}\r\n' + LINE, 100) is not None
    assert LINES.read_whole(lines, 100) is None


def test_arrow_reads_no_line_that_is_too_long() -> None:
    lines = LINE + b'{"a":2,"b":"%s"}\n' % (b"y" * 100) + LINE
    assert LINES.read_whole(lines, 200) is not None
    assert LINES.read_whole(lines, 100) is None


def csv_rows(block: bytes, schema: TableSchema = SCHEMA, header: tuple[str, ...] = ("a", "b")) -> object:
    reader = CsvReader(Flat(schema.columns, lambda batch: batch, LONGEST), frozenset("a"), keeps_last=False)
    reader.header = header
    found = reader.task(block)()
    return found and rows(found.batch)


def test_plain_lines_of_csv() -> None:
    assert csv_rows(b"1,x\n-2,\n") == [{"a": 1, "b": "x"}, {"a": -2, "b": ""}]
    assert csv_rows(b"1,x\r\n,y\r\n") == [{"a": "1", "b": "x"}, {"a": None, "b": "y"}]
    assert csv_rows(b"1,\n2,\n") == [{"a": 1, "b": ""}, {"a": 2, "b": ""}]
    assert csv_rows(b",\n") == [{"a": None, "b": ""}]


@pytest.mark.parametrize(
    "block",
    [
        b'1,"x"\n',
        b"1,x\0\n",
        b"\xef\xbb\xbf1,x\n",
        b"1,x\n\n2,y\n",
        b"\n1,x\n",
        b"1,x\r\n\r\n",
        b"1,x\r\n2,y\n",
        b"1,x\r2,y\n3,z\r\n",
        b"1,x\ry\n",
        b"1,\rx\n2,y\n",
        b"1,x\n2\n",
        b"1,x\n2,y,z\n",
        b"1,x\n2,y",
        b"1,\xff\n",
        b"1,%s\n" % (b"x" * csv.field_size_limit()),
        b"",
    ],
)
def test_lines_of_csv_that_are_not_plain(block: bytes) -> None:
    assert csv_rows(block) is None


def test_csv_of_one_column_has_no_empty_line() -> None:
    one = table(b="string")
    assert csv_rows(b"x\ny\n", one, ("b",)) == [{"b": "x"}, {"b": "y"}]
    assert csv_rows(b"x\n\ny\n", one, ("b",)) is None
    assert csv_rows(b"x\r\n\r\ny\r\n", one, ("b",)) is None


def test_csv_of_other_columns() -> None:
    assert csv_rows(b"1,x\n", header=("a", "c")) is None
    assert csv_rows(b"1\n", header=("a",)) is None


class Slow:
    """A source that gives pieces and then fails."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces: Iterator[bytes] = iter(pieces)

    def read(self, _size: int = -1, /) -> bytes:
        for piece in self._pieces:
            return piece
        raise SourceUnavailable("the connection ended.")


def test_what_a_failing_source_gave_comes_before_its_error() -> None:
    reader = TemplateReader(lambda _: [], Flat(SCHEMA.columns, lambda batch: batch, LONGEST), b"\n", by_line=True)
    blocks = _Blocks(Slow([LINE, LINE + b'{"a"']), reader, b"")
    try:
        given = [ahead.block for ahead in (blocks.next(), blocks.next(), blocks.next()) if ahead]
        assert given == [LINE, LINE, b'{"a"']
        with pytest.raises(SourceUnavailable):
            blocks.next()
    finally:
        blocks.close()
