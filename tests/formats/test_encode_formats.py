"""Every format can write any text and any 64-bit integer, and a chunk from sqlite has the same bytes."""

import csv
import io
import json
from base64 import b64decode
from collections.abc import Callable
from datetime import date
from decimal import Decimal

import apsw
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from flows_platform.domain.errors import InputError
from flows_platform.domain.schema import INT64_MAX, INT64_MIN, Column, ColumnType, TableSchema
from flows_platform.domain.verification import RowDigest, Value
from flows_platform.formats.encoders import for_format
from flows_platform.formats.protocol.canonical import canonical_rows, canonical_sql, sum_of_hashes
from flows_platform.formats.protocol.encoder import PYTHON_TYPES, Footer, checked
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.formats.protocol.sql_text import quoted

type Row = tuple[Value, ...]

SCHEMA = TableSchema(
    "things",
    "Things with texts.",
    (
        Column("id", ColumnType.INT64, ""),
        Column("first", ColumnType.STRING, ""),
        Column("number", ColumnType.INT64, ""),
        Column("second", ColumnType.STRING, ""),
    ),
    "id",
    "number",
)
NULLABLE = TableSchema(
    "optional",
    "A value may be absent.",
    (
        Column("id", ColumnType.INT64, ""),
        Column("text", ColumnType.STRING, "", nullable=True),
        Column("number", ColumnType.INT64, "", nullable=True),
    ),
    "id",
    "id",
)
TYPED = TableSchema(
    "typed", "Every type.", tuple(Column(f"a_{kind}", kind, "") for kind in ColumnType), "a_int64", "a_int64"
)
SAMPLES: dict[ColumnType, Value] = {
    ColumnType.INT64: 7,
    ColumnType.STRING: "x",
    ColumnType.TIMESTAMP: "2014-01-01T00:00:00.000001Z",
    ColumnType.FLOAT64: 7.8,
    ColumnType.BOOL: 1,
    ColumnType.JSON: '{"a":\n[1.50,"x"]}',
    ColumnType.DATE: "2024-02-29",
    ColumnType.NUMERIC: "12345678901234567890.10",
}

INTEGERS = st.integers(INT64_MIN, INT64_MAX)
NASTY = [
    "",
    '"',
    "\\",
    ",",
    "\r\n",
    "\0",
    "a\0b",
    "]]>",
    "&amp;",
    "<x/>",
    "\ufeff",
    "\ufffe",
    "\uffff",
    "\x7f",
    "😀",
    " ",
    "\t",
]
TEXTS = st.one_of(st.text(), st.sampled_from(NASTY), st.text("ab019._-", max_size=8))
ROWS = st.lists(st.tuples(INTEGERS, TEXTS, INTEGERS, TEXTS), max_size=12)
PLAIN_TEXTS = st.text("ab019._-é😀", max_size=8) | st.text("a !#'*+é", max_size=8)
PLAIN_ROWS = st.lists(st.tuples(INTEGERS, PLAIN_TEXTS, INTEGERS, st.just("")), min_size=1)


def document(wire_format: WireFormat, schema: TableSchema, rows: list[Row]) -> bytes:
    """A whole stream, in chunks of three rows."""
    encoder = for_format(wire_format, schema)
    chunks = [encoder.encode(rows[start : start + 3]) for start in range(0, len(rows), 3)]
    footer = encoder.footer(Footer(len(rows))) if encoder.footer_belongs else b""
    return encoder.prologue() + b"".join(chunks).removeprefix(encoder.lead) + footer + encoder.epilogue()


def from_json(data: bytes) -> list[Row]:
    whole = json.loads(data)
    assert list(whole) == ["records", "end"]
    assert whole["end"] == {"count": len(whole["records"])}
    return [tuple(record.values()) for record in whole["records"]]


def from_ndjson(data: bytes) -> list[Row]:
    return [tuple(json.loads(line).values()) for line in data.split(b"\n")[:-1]]


def from_csv(data: bytes) -> list[Row]:
    header, *rows = csv.reader(io.StringIO(data.decode(), newline=""), strict=True)
    assert header == list(SCHEMA.names)
    return [(int(row[0]), row[1], int(row[2]), row[3]) for row in rows]


def from_xml(data: bytes) -> list[Row]:
    root = etree.fromstring(data)
    assert root.tag == "records"
    instruction = root[-1]
    assert (instruction.target, instruction.text) == ("end", f'count="{len(root) - 1}"')  # type: ignore[attr-defined]
    return [tuple(map(_xml_value, record)) for record in list(root)[:-1]]


def _xml_value(element: etree._Element) -> Value:
    text = element.text or ""
    if element.get("encoding") == "base64":
        text = b64decode(text).decode()
    return int(text) if element.tag in {"id", "number"} else text


def from_arrow(data: bytes) -> list[Row]:
    with pa.ipc.open_stream(data) as reader:
        table = reader.read_all()
    table.validate(full=True)
    return [tuple(row.values()) for row in table.to_pylist()]


PARSERS: dict[WireFormat, Callable[[bytes], list[Row]]] = {
    WireFormat.JSON: from_json,
    WireFormat.NDJSON: from_ndjson,
    WireFormat.CSV: from_csv,
    WireFormat.XML: from_xml,
    WireFormat.ARROW: from_arrow,
}
EACH = pytest.mark.parametrize("wire_format", list(WireFormat))


@EACH
@given(rows=ROWS)
def test_any_row_comes_back(wire_format: WireFormat, rows: list[Row]) -> None:
    assert PARSERS[wire_format](document(wire_format, SCHEMA, rows)) == rows


@EACH
def test_every_code_point_comes_back(wire_format: WireFormat) -> None:
    points = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    rows: list[Row] = [
        (start, "".join(points[start : start + 64]), 0, points[start]) for start in range(0, 0x10000 - 0x800, 64)
    ]
    rows += [(start, "".join(points[start : start + 8192]), 0, "") for start in range(0xF800, len(points), 8192)]
    assert PARSERS[wire_format](document(wire_format, SCHEMA, rows)) == rows


def assembled(wire_format: WireFormat, rows: list[Row]) -> bytes | None:
    """The chunk from sqlite; None if the encoder does not accept it."""
    encoder = for_format(wire_format, SCHEMA)
    database = apsw.Connection(":memory:")
    database.execute("CREATE TABLE things (id INTEGER, first TEXT, number INTEGER, second TEXT)")
    database.executemany("INSERT INTO things VALUES (?, ?, ?, ?)", rows)
    separator = quoted(encoder.record_separator.decode())
    query = f"SELECT CAST(group_concat({encoder.record_sql}, {separator}) AS BLOB) FROM things"
    records = database.execute(query).get
    database.close()
    assert isinstance(records, bytes)
    return encoder.assembled(records, len(rows))


@EACH
@settings(max_examples=300)
@given(rows=ROWS.filter(bool))
def test_the_fast_way_gives_the_reference_or_nothing(wire_format: WireFormat, rows: list[Row]) -> None:
    data = assembled(wire_format, rows)
    assert data is None or data == for_format(wire_format, SCHEMA).encode(rows)


@EACH
@pytest.mark.parametrize("points", [range(0x100), range(0xFFF0, 0x10010)])
def test_the_fast_way_passes_no_lone_character_that_is_escaped(wire_format: WireFormat, points: range) -> None:
    """Every odd value is alone in its chunk: otherwise markup comes in pairs, and one guard hides another."""
    encoder = for_format(wire_format, SCHEMA)
    for point in points:
        rows: list[Row] = [(1, f"a{chr(point)}b", 2, "c")]
        assert assembled(wire_format, rows) in (None, encoder.encode(rows)), hex(point)


@EACH
@given(rows=PLAIN_ROWS)
def test_the_fast_way_takes_plain_text(wire_format: WireFormat, rows: list[Row]) -> None:
    assert assembled(wire_format, rows) == for_format(wire_format, SCHEMA).encode(rows)


@EACH
@pytest.mark.parametrize("schema", [SCHEMA, TYPED])
def test_every_type_is_rendered(wire_format: WireFormat, schema: TableSchema) -> None:
    row = tuple(SAMPLES[column.type] for column in schema.columns)
    assert document(wire_format, schema, [row])
    assert checked(schema, [row]) == [row]
    assert set(PYTHON_TYPES) == set(ColumnType)


def test_null_differs_from_the_empty_text() -> None:
    rows: list[Row] = [(1, None, None), (2, "", 0)]
    lines = document(WireFormat.NDJSON, NULLABLE, rows)
    assert lines == b'{"id":1,"text":null,"number":null}\n{"id":2,"text":"","number":0}\n'
    assert document(WireFormat.CSV, NULLABLE, rows) == b'id,text,number\r\n1,,\r\n2,"",0\r\n'
    xml = document(WireFormat.XML, NULLABLE, rows)
    assert b"<record><id>1</id></record><record><id>2</id><text></text><number>0</number></record>" in xml
    with pa.ipc.open_stream(document(WireFormat.ARROW, NULLABLE, rows)) as reader:
        assert [tuple(row.values()) for row in reader.read_all().to_pylist()] == rows


@pytest.mark.parametrize("value", [None, "7", 1.0, b"7", True, INT64_MAX + 1, INT64_MIN - 1], ids=repr)
def test_a_value_that_does_not_fit_is_named(value: object) -> None:
    with pytest.raises(InputError, match=r"table things: the row with id 5 holds .* in the int64 column number"):
        checked(SCHEMA, [(4, "", 0, ""), (5, "", value, "")])


def test_the_documents_are_as_the_protocol_says() -> None:
    rows: list[Row] = [(1, 'a"b', -1, "c\rd"), (2, "<&>", 2, "\0")]
    assert document(WireFormat.JSON, SCHEMA, rows) == (
        b'{"records":[\n{"id":1,"first":"a\\"b","number":-1,"second":"c\\rd"},\n'
        b'{"id":2,"first":"<&>","number":2,"second":"\\u0000"}\n],"end":{"count":2}}\n'
    )
    assert document(WireFormat.XML, SCHEMA, rows) == (
        b"<?xml version='1.0' encoding='UTF-8'?><records>"
        b'<record><id>1</id><first>a"b</first><number>-1</number><second>c&#13;d</second></record>'
        b"<record><id>2</id><first>&lt;&amp;&gt;</first><number>2</number>"
        b'<second encoding="base64">AA==</second></record><?end count="2"?></records>'
    )
    assert document(WireFormat.CSV, SCHEMA, rows) == (
        b'id,first,number,second\r\n1,"a""b",-1,"c\rd"\r\n2,<&>,2,\x00\r\n'
    )


FOOTERS = {
    WireFormat.JSON: (b'\n],"end":{"count":3}', b'\n],"end":{"count":3,"digest":"00ff"}'),
    WireFormat.XML: (b'<?end count="3"?>', b'<?end count="3" digest="00ff"?>'),
    WireFormat.NDJSON: (b'{"end":{"count":3}}\n', b'{"end":{"count":3,"digest":"00ff"}}\n'),
    WireFormat.CSV: (b"end,3\r\n", b"end,3,00ff\r\n"),
}


@pytest.mark.parametrize("wire_format", FOOTERS)
def test_the_footer_is_as_the_protocol_says(wire_format: WireFormat) -> None:
    encoder = for_format(wire_format, SCHEMA)
    assert (encoder.footer(Footer(3)), encoder.footer(Footer(3, "00ff"))) == FOOTERS[wire_format]


@pytest.mark.parametrize(("digest", "metadata"), [(None, {b"count": b"3"}), ("0f", {b"count": b"3", b"digest": b"0f"})])
def test_the_footer_of_arrow_is_an_empty_batch(digest: str | None, metadata: dict[bytes, bytes]) -> None:
    encoder = for_format(WireFormat.ARROW, SCHEMA)
    data = encoder.prologue() + encoder.encode([(1, "a", 2, "b")]) + encoder.footer(Footer(3, digest))
    with pa.ipc.open_stream(data + encoder.epilogue()) as reader:
        assert reader.read_next_batch().num_rows == 1
        last = reader.read_next_batch_with_custom_metadata()
        assert (last.batch.num_rows, dict(last.custom_metadata)) == (0, metadata)
        with pytest.raises(StopIteration):
            reader.read_next_batch()


@given(rows=ROWS)
def test_sqlite_writes_the_canonical_form(rows: list[Row]) -> None:
    database = apsw.Connection(":memory:")
    database.execute("CREATE TABLE things (id INTEGER, first TEXT, number INTEGER, second TEXT)")
    database.executemany("INSERT INTO things VALUES (?, ?, ?, ?)", rows)
    written = [row for (row,) in database.execute(f"SELECT {canonical_sql(SCHEMA)} FROM things ORDER BY rowid")]
    database.close()
    assert written == canonical_rows(SCHEMA, rows)
    assert sum_of_hashes(canonical_rows(SCHEMA, rows)) == RowDigest.of(rows).total


def test_a_timestamp_is_hashed_as_microseconds_and_a_date_as_days() -> None:
    assert canonical_sql(TYPED) is None
    row = tuple(SAMPLES[column.type] for column in TYPED.columns)
    assert canonical_rows(TYPED, [row]) == [
        b'7,1:x,1388534400000001,7.7999999999999998e+00,1,17:{"a":\n[1.50,"x"]},19782,12345678901234567890.1'
    ]


def test_each_type_is_as_its_format_has_it() -> None:
    row = tuple(SAMPLES[column.type] for column in TYPED.columns)
    line = b'"a_timestamp":"2014-01-01T00:00:00.000001Z","a_float64":7.8,"a_bool":true,"a_json":{"a": [1.50,"x"]},'
    last = b'"a_date":"2024-02-29","a_numeric":12345678901234567890.10}\n'
    assert document(WireFormat.NDJSON, TYPED, [row]) == b'{"a_int64":7,"a_string":"x",' + line + last
    csv_end = b',7.8,1,"{""a"":\n[1.50,""x""]}",2024-02-29,12345678901234567890.10\r\n'
    assert document(WireFormat.CSV, TYPED, [row]).endswith(csv_end)
    xml = document(WireFormat.XML, TYPED, [row])
    assert b"<a_float64>7.8</a_float64><a_bool>1</a_bool>" in xml
    assert b"<a_date>2024-02-29</a_date><a_numeric>12345678901234567890.10</a_numeric>" in xml
    (arrow,) = from_arrow(document(WireFormat.ARROW, TYPED, [row]))
    exact: tuple[object, ...] = (date(2024, 2, 29), Decimal("12345678901234567890.1"))
    assert arrow[3:] == (7.8, True, SAMPLES[ColumnType.JSON], *exact)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a_float64", float("inf")),
        ("a_float64", float("nan")),
        ("a_float64", 7),
        ("a_bool", 2),
        ("a_bool", "true"),
        ("a_json", "{"),
        ("a_json", "NaN"),
        ("a_json", "[" * 100_000),
        ("a_date", "2024-02-30"),
        ("a_date", "20240229"),
        ("a_date", "2024-02-29T00:00:00"),
        ("a_date", 20240229),
        ("a_numeric", 1.5),
        ("a_numeric", "1e3"),
        ("a_numeric", "1.0000000001"),
        ("a_numeric", "1" + "0" * 29),
        ("a_numeric", "01"),
        ("a_numeric", ".5"),
        ("a_numeric", "NaN"),
        ("a_numeric", "1\n"),
    ],
)
def test_a_value_that_its_type_does_not_hold_is_named(name: str, value: Value) -> None:
    row = [value if column.name == name else SAMPLES[column.type] for column in TYPED.columns]
    with pytest.raises(InputError, match=f"column {name}"):
        checked(TYPED, [row])


@EACH
def test_no_row_is_a_whole_document(wire_format: WireFormat) -> None:
    assert PARSERS[wire_format](document(wire_format, SCHEMA, [])) == []
