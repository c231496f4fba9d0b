"""Templates against the reference: for any document, they give the same or leave it to the reference."""

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows_platform.columns.paths import RecordPath
from flows_platform.formats.protocol.envelope import ErrorDocument
from flows_platform.formats.protocol.names import WireFormat
from tests.faults.scale import scaled

from .templates_alike import TABLE, blocks_of, read_alike, table

JSON, NDJSON, XML, CSV = WireFormat.JSON, WireFormat.NDJSON, WireFormat.XML, WireFormat.CSV
FORMATS = [JSON, NDJSON, XML, CSV]
ROWS = 60

type Fields = dict[str, str]  # as written


@pytest.fixture(autouse=True)
def _blocks() -> Iterator[None]:
    with blocks_of(600):
        yield


def fields(wire: WireFormat, number: int) -> Fields:
    """A record of TABLE as the format writes its values."""
    values = {"a": number, "b": f"Host {number}", "t": "2014-01-01T00:00:00Z", "d": number % 2 == 0, "n": -number}
    return {name: json.dumps(value) if wire in (JSON, NDJSON) else plain(value) for name, value in values.items()}


def plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def in_json(record: Fields) -> str:
    return "{" + ", ".join(f'"{name}": {value}' for name, value in record.items()) + "}"


def in_xml(record: Fields) -> str:
    return "<record>" + "".join(f"<{name}>{value}</{name}>" for name, value in record.items()) + "</record>"


def in_csv(record: Fields) -> str:
    return ",".join(record.values())


WRITTEN: dict[WireFormat, Callable[[Fields], str]] = {JSON: in_json, NDJSON: in_json, XML: in_xml, CSV: in_csv}
BETWEEN = {JSON: ", ", NDJSON: "\n", XML: "", CSV: "\n"}


def around(wire: WireFormat, records: str, count: int = ROWS, header: Sequence[str] = TABLE.names) -> str:
    """A document of these records."""
    match wire:
        case WireFormat.JSON:
            return f'{{"before": {{"x": [1]}}, "records": [{records}], "end": {{"count": {count}}}}}'
        case WireFormat.NDJSON:
            return f"{records}\n"
        case WireFormat.XML:
            return f'<?xml version="1.0" encoding="UTF-8"?>\n<records>{records}<?end count="{count}"?></records>'
    return f"{','.join(header)}\n{records}\n"


def document(wire: WireFormat, changed: dict[int, str] | None = None, rows: int = ROWS, between: str = "") -> bytes:
    """A document in which some records are written differently."""
    texts = [(changed or {}).get(number) or WRITTEN[wire](fields(wire, number)) for number in range(1, rows + 1)]
    return around(wire, (between or BETWEEN[wire]).join(texts), rows).encode("utf-8", "surrogatepass")


def with_value(wire: WireFormat, value: str) -> bytes:
    """A document with a value that occurs once in every column, and in the last record."""
    numbers = {12: "a", 24: "b", 36: "t", 48: "d", ROWS: "n"}
    return document(
        wire, {number: WRITTEN[wire](fields(wire, number) | {name: value}) for number, name in numbers.items()}
    )


@pytest.mark.parametrize("wire", FORMATS)
@pytest.mark.parametrize("size", [500, 900, 1500])
def test_most_records_are_proven(wire: WireFormat, size: int) -> None:
    with blocks_of(size):
        assert read_alike(wire, document(wire)) >= ROWS // 4


# As the format writes them: with quotes in JSON.
NUMBERS = [
    *("-0", "+1", "01", "007", "-01", "0x1f", "0X1F", "1e5", "1E5", "1.0", "5.", ".5", "1_0", "1 ", " 1", "--1", "-"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "1" * 20),
    *(
        "9" * 64,
        "9" * 400,
        "9" * 5000,
        "NaN",
        "nan",
        "Infinity",
        "-Infinity",
        "inf",
        "1e999999999",
        "\u0661",
        "1\u00a0",
    ),
    *("0.1234567890123456789012345", "1.7976931348623157", "1e-400", "-0.0", "1/**/", "1 2", "1,2", "", "t", "0b1"),
]
WORDS = ["null", "true", "false", "True", "tru", "nul", "NULL", "{}", "[1]", "[]", '{"x": 1}', "0", "1"]
TEXTS = [
    *('"1"', '"x', 'x"', '""', '"', "'x'", '"a","z":2', '"a":"b"', '":"', '"\\"', '"\\\\"', '"\\x"', '"\\ud800"'),
    *('"\\ud83d\\ude00"', '"\\u0000"', '"a\\tb"', '"\x00"', '"\x01"', '"\x1f"', '"\x7f"', '"\x0b"', '"\n"', '"\r\n"'),
    *('"\t"', '"\x85"', '"\u2028"', '"\ufeff"', '"\ufffe"', '"\uffff"', '"\U0001fffe"', '"\U0001f600"', '"\ud800"'),
    *(
        '"::1"',
        '"fe80::1"',
        '"12:00"',
        '":x"',
        '"},{"',
        '"}, {"',
        '"}\\n{"',
        '"<b>"',
        '"&amp;"',
        '"]]>"',
        '" x "',
        '"x,y"',
    ),
]
TIMES = ['"2014-01-01T00:00:00+14:00"', '"2014-01-01 00:00:00Z"', '"soon"', '"10000-01-01T00:00:00Z"', "7", "null"]
ODD = [*NUMBERS, *WORDS, *TEXTS, *TIMES]


@pytest.mark.parametrize("wire", FORMATS)
def test_any_value_in_any_column(wire: WireFormat) -> None:
    for value in ODD:
        for written in {value, value if wire in (JSON, NDJSON) else value.strip('"')}:
            read_alike(wire, with_value(wire, written))


SEPARATORS = [
    *(
        "\n",
        "\r\n",
        "\r",
        "\n\n",
        "\n \n",
        "\r\n\r\n",
        " ",
        "\t",
        "\x0b",
        "\x0c",
        "\x00",
        "\ufeff",
        "\u2028",
        "\x85",
        "x",
    ),
    *(
        ",",
        ",,",
        " ,\n",
        ",\x0c",
        "\x0b,",
        ",\ufeff",
        ";",
        "],[",
        '],"more":[',
        "}",
        "{},",
        ",{},",
        ",null,",
        ",7,",
        ",[],",
    ),
    *(
        "\n{}\n",
        "\nnull\n",
        "\n[]\n",
        "\n{",
        "<!-- x -->",
        "<?x y?>",
        "<![CDATA[]]>",
        "<x/>",
        "<record/>",
        "&amp;",
        "&x;",
        "<",
    ),
    *(
        "</records><records>",
        "<record>",
        "</record>",
        "<?end count='7'?>",
        "<!DOCTYPE x>",
        "\nend,60\n",
        '\n"",\n',
        ",",
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("wire", FORMATS)
def test_any_separator_between_two_records_or_all(wire: WireFormat) -> None:
    for separator in SEPARATORS:
        usual = BETWEEN[wire]
        for tried in {separator, usual + separator, separator + usual}:
            first = WRITTEN[wire](fields(wire, 30)) + tried + WRITTEN[wire](fields(wire, 31))
            read_alike(wire, document(wire, {30: first}))
            read_alike(wire, document(wire, between=tried))


def changed_records(wire: WireFormat) -> dict[str, str]:
    """A record written differently, by the difference."""
    usual = fields(wire, 30)
    text = WRITTEN[wire](usual)
    found = {
        "order": WRITTEN[wire](dict(reversed(usual.items()))),
        "missing": WRITTEN[wire]({name: value for name, value in usual.items() if name != "n"}),
        "missing but nullable": WRITTEN[wire]({name: value for name, value in usual.items() if name != "b"}),
        "more": WRITTEN[wire](usual | {"z": usual["a"]}),
        "more, null": WRITTEN[wire](usual | {"z": "null"}),
        "swapped": WRITTEN[wire](usual | {"a": usual["b"], "b": usual["a"]}),
    }
    if wire in (JSON, NDJSON):
        found |= {
            "twice": text[:-1] + ', "a": 7}',
            "only twice": '{"a": 7, "a": 8, "b": "x", "t": "2014-01-01T00:00:00Z", "d": true}',
            "escaped name": text.replace('"a"', '"\\u0061"'),
            "nested": text.replace('"Host', '{"b": {"a": 1, "b": "x"}}, "c": "Host'),
            "end": '{"end": {"count": 3}}',
            "pretty": json.dumps(json.loads(text), indent=2),
            "form feed": text.replace(", ", ",\x0c", 1),
            "vertical tab": text.replace(": ", ":\x0b", 1),
            "carriage return": text.replace(", ", ",\r", 1),
            "two lines": text.replace(", ", ",\n", 1),
            "two on a line, none on another": f"{text} {text}\n",
            "two on a line": f"{text}{text}",
            "another quote": text.replace('"', "'", 2),
        }
    if wire is XML:
        found |= {
            "twice": text.replace("</record>", "<a>7</a></record>"),
            "attribute": text.replace("<record>", '<record k="v">'),
            "attribute of a value": text.replace("<b>", '<b k="v">'),
            "base64": text.replace("<b>Host 30", '<b encoding="base64">SG9zdA=='),
            "space in a tag": text.replace("<b>", "<b >").replace("</b>", "</b\n>"),
            "namespace": text.replace("<record>", '<record xmlns="u:x">'),
            "namespace of a value": text.replace("<b>", '<b xmlns="u:x">'),
            "prefix": text.replace("<record>", '<p:record xmlns:p="u">').replace("</record>", "</p:record>"),
            "empty": text.replace("<n>-30</n>", "<n/>"),
            "comment": text.replace("Host", "Ho<!-- > -->st"),
            "CDATA": text.replace("Host", "<![CDATA[<&>]]>"),
            "instruction": text.replace("Host", "Ho<?x y?>st"),
            "our instruction": text.replace("Host", "Ho<?flows-cut?>st"),
            "text beside": text.replace("<b>", "x<b>"),
            "case": text.replace("<b>", "<B>").replace("</b>", "</B>"),
            "crossed": text.replace("</b>", "</a>", 1),
            "record in a value": text.replace("Host", "<record><a>1</a></record>"),
            "record in a record": text.replace("</record>", "<record><a>1</a></record></record>"),
            "record in another": text.replace("Host", "<x><record>y</record></x>"),
            "pretty": text.replace("><", ">\n  <"),
        }
    if wire is CSV:
        found |= {
            "quotes": ",".join(f'"{value}"' for value in usual.values()),
            "newline in quotes": text.replace("Host", '"Ho\nst').replace(" 30,", '",'),
            "many newlines in quotes": text.replace("Host", '"' + "x\n" * 700).replace(" 30,", '",'),
            "open quote": text.replace("Host", '"Host'),
            "doubled quote": text.replace("Host 30", '"a""b"'),
            "quote within": text.replace("Host", 'Ho"st'),
            "carriage return": text.replace("Host", "Ho\rst"),
            "few": "1,2",
            "many": text + ",,",
            "blanks": ",,,,",
            "header again": ",".join(TABLE.names),
            "end": "end,7",
            "mark": "\ufeff" + text,
        }
    return found


@pytest.mark.slow
@pytest.mark.parametrize("wire", FORMATS)
def test_any_record_that_is_written_otherwise(wire: WireFormat) -> None:
    """In the middle, first, last, twice in a row, and all of them."""
    for text in changed_records(wire).values():
        for numbers in ({30}, {1}, {2}, {ROWS}, {30, 31}, set(range(1, ROWS + 1)), set(range(1, ROWS, 3))):
            read_alike(wire, document(wire, dict.fromkeys(numbers, text)))


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("wire", FORMATS)
def test_a_document_cut_at_any_byte(wire: WireFormat) -> None:
    body = document(wire, rows=9)
    with blocks_of(200):
        assert read_alike(wire, body) > 0
        for end in range(0, len(body), scaled(1, 3)):
            read_alike(wire, body[:end], footer=wire in (NDJSON, CSV) and end % 2 == 0)


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("wire", FORMATS)
def test_another_byte_at_any_position(wire: WireFormat) -> None:
    body = document(wire, rows=8)
    others = cycle(b'"\\{}[],:<>&/\n\r \t\x00\x1f\x7f\xff\xc3-0+e.;?!tx')
    with blocks_of(200):
        for position in range(0, len(body), scaled(1, 3)):
            for other in (body[position] ^ 1, next(others)):
                read_alike(wire, body[:position] + bytes([other]) + body[position + 1 :])


@given(
    st.sampled_from(FORMATS),
    st.lists(st.tuples(st.integers(0, 900), st.integers(0, 12), st.integers(0, 900)), min_size=1, max_size=3),
)
def test_bytes_left_out_doubled_or_moved(wire: WireFormat, moves: list[tuple[int, int, int]]) -> None:
    body = document(wire, rows=12)
    for start, size, target in moves:
        piece = body[start : start + size]
        body = body[:target] + piece + body[target:] if size % 2 else body[:start] + body[start + size :]
    with blocks_of(200):
        read_alike(wire, body)


FOOTERS = {
    NDJSON: ['{"end":{"count":60}}\n', '{"end":{"count":60}}', '{"end":{"count":60}}\n\n', '{"end":{}}\n', "", "\n"],
    CSV: [
        "end,60\n",
        "end,60",
        "end,60,0123456789abcdef\r\n",
        "end,60\n\n",
        '"end",60\n',
        "end,x\n",
        "end\n",
        "",
        "\n",
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("wire", [NDJSON, CSV])
@pytest.mark.parametrize("rows", [0, 1, 2, ROWS])
def test_a_footer_that_was_asked_for_or_not(wire: WireFormat, rows: int) -> None:
    whole = document(wire, rows=rows)
    for body in (whole, whole.removesuffix(b"\n"), whole.replace(b"\n", b"\r\n")):
        for end in FOOTERS[wire]:
            for asked in (True, False):
                for proven in (True, False):
                    read_alike(wire, body + end.encode(), footer=asked, proven=proven)


BEFORE = ["", "\ufeff", " ", "\n", "\r\n", "\x00", "x", "\x0c", "{", "[", "<!-- x -->", "<?x y?>", '"']


@pytest.mark.parametrize("wire", FORMATS)
def test_bytes_around_the_records(wire: WireFormat) -> None:
    whole = document(wire)
    for text in BEFORE:
        read_alike(wire, text.encode() + whole)
        read_alike(wire, whole + text.encode())
        read_alike(wire, text.encode())
    for rows in (0, 1, 2, 3):
        read_alike(wire, document(wire, rows=rows))
        with blocks_of(100):
            read_alike(wire, document(wire, rows=rows))


RECORDS = BETWEEN[JSON].join(in_json(fields(JSON, number)) for number in range(ROWS))


@pytest.mark.parametrize(
    "text",
    [
        f"[{RECORDS}]",
        f'{{"records": [{RECORDS}]}}',
        f'{{"records": [{RECORDS}], "records": [{RECORDS}]}}',
        f'{{"records": [{RECORDS}], "more": [{RECORDS}], "end": {{"count": 1}}}}',
        f'{{"more": [{RECORDS}], "records": [{RECORDS}], "end": {{"count": 1}}}}',
        f'{{"records": [[{RECORDS}]]}}',
        f'{{"records": {{"x": [{RECORDS}]}}}}',
        f'{{"records": [{{"x": [{RECORDS}]}}]}}',
        f'{{"records": [{RECORDS}], "end": {{"count": 60}}, "after": {{"end": {{"count": 2}}}}}}',
        f'{{"records": [{RECORDS}], "error": {{"message": "no"}}}}',
        f'{{"records": [{RECORDS}]',
        f'{{"records": [{RECORDS}], ',
        f'{{"records": [{RECORDS},]}}',
        f'{{"records": [{RECORDS}]}} {{"records": [{RECORDS}]}}',
    ],
    ids=range(14),
)
def test_json_of_another_shape(text: str) -> None:
    errors = ErrorDocument(message=RecordPath.parse("error.message"))
    for path in ("records", "records.x", ""):
        for total in (None, RecordPath.parse("count")):
            read_alike(JSON, text.encode(), records=path, errors=errors, total=total)


PROLOGS = [
    *("", '<?xml version="1.0"?>', "<?xml version='1.0' encoding='utf-8' standalone='yes'?>", "<!-- x -->", "<?x y?>"),
    *(
        '<?xml version="1.1"?>',
        '<?xml version="1.0" encoding="ISO-8859-1"?>',
        '<?xml version="1.0" encoding="UTF-16"?>',
    ),
    *("<!DOCTYPE records>", '<!DOCTYPE records SYSTEM "x.dtd">', '<!DOCTYPE records [<!ENTITY x "y">]>'),
]
ROOTS = [
    "<records>",
    '<records k="v">',
    '<records xmlns="u:x">',
    '<records xmlns:p="u:x">',
    "<other>",
    "<records\n>",
    "<records>x",
]


@pytest.mark.parametrize("prolog", PROLOGS)
def test_xml_of_another_shape(prolog: str) -> None:
    whole = document(XML, {7: WRITTEN[XML](fields(XML, 7) | {"b": "\u00e9"})}).decode()
    start = whole.index("<records>")
    for root in ROOTS:
        body = prolog + whole[start:].replace("<records>", root)
        for encoding in ("utf-8", "latin-1"):
            read_alike(XML, body.encode(encoding), doctype="SYSTEM" in prolog)


@pytest.mark.parametrize(
    "header",
    [
        *(
            "a,b,t,d,n",
            '"a",b,t,d,n',
            "n,d,t,b,a",
            "a,b,t,d",
            "a,b,t,d,n,z",
            "a,b,t,d,d",
            "a,b,t,d,z",
            "x",
            "",
            "A,B,T,D,N",
        ),
        *(
            "a,b,t,d,n\r",
            "a,b,t,d,n\n",
            "\na,b,t,d,n",
            '"a\n",b,t,d,n',
            "\ufeffa,b,t,d,n",
            "a ,b,t,d,n",
            "a\x00,b,t,d,n",
        ),
    ],
)
def test_csv_of_another_header(header: str) -> None:
    lines = document(CSV).split(b"\n", 1)[1]
    for end in (b"\n", b"\r\n", b"\r"):
        read_alike(CSV, header.encode() + end + lines)
        read_alike(CSV, header.encode() + end + lines.replace(b"\n", end))


@pytest.mark.parametrize("wire", FORMATS)
@pytest.mark.parametrize("value", ["", "x", "\u00e9", "1", "12:00"])
def test_a_column_of_one_text(wire: WireFormat, value: str) -> None:
    written = f'"{value}"' if wire in (JSON, NDJSON) else value
    records = {number: WRITTEN[wire](fields(wire, number) | {"b": written}) for number in range(1, ROWS + 1)}
    assert read_alike(wire, document(wire, records)) > ROWS // 4


@pytest.mark.slow
@pytest.mark.parametrize("wire", [JSON, NDJSON])
@pytest.mark.parametrize("name", ["n", "s", "f", "o", "m"])
def test_nulls_of_a_column_that_may_be_null(wire: WireFormat, name: str) -> None:
    """In some records, in the first, in all."""
    schema = table(a="int64", n="int64?", s="string?", f="float64?", o="bool?", m="timestamp?")
    usual = {"a": "7", "n": "-1", "s": '"nul"', "f": "1.5", "o": "true", "m": '"2014-01-01T00:00:00Z"'}
    for numbers in (set(range(0, ROWS, 3)), {0}, set(range(ROWS)), set(range(30, ROWS))):
        for other in ("null", '"null"', "nul", "nulL", '"', '"x', 'x"', "", "{}"):
            texts = [in_json(usual | {name: other if number in numbers else usual[name]}) for number in range(ROWS)]
            proven = read_alike(wire, around(wire, BETWEEN[wire].join(texts), ROWS).encode(), schema)
            assert proven or other != "null"


@pytest.mark.parametrize("wire", FORMATS)
def test_numbers_of_any_digits_in_a_column_of_floats(wire: WireFormat) -> None:
    schema = table(a="int64", f="float64", s="string")
    for value in NUMBERS:
        texts = [
            WRITTEN[wire]({"a": str(number), "f": "0.1" if number % 7 else value, "s": "0"}) for number in range(ROWS)
        ]
        if wire in (JSON, NDJSON):
            texts = [text.replace('"s": 0', '"s": "0"') for text in texts]
        read_alike(wire, around(wire, BETWEEN[wire].join(texts), ROWS, schema.names).encode(), schema)


@pytest.mark.parametrize("wire", FORMATS)
def test_a_record_longer_than_one_may_be(wire: WireFormat) -> None:
    # A field of CSV has a limit of its own, 131,072 bytes; from 262,144 on, the pieces decide which limit is met first.
    for size in (200_000,) if wire is CSV else (200_000, 400_000):
        read_alike(
            wire, with_value(wire, f'"{"x" * size}"' if wire in (JSON, NDJSON) else "x" * size), record_bytes=1000
        )


@pytest.mark.parametrize("wire", FORMATS)
@pytest.mark.parametrize("rest", [b"", b"\xff", b"\n\x00<&>", b'{"a": 01}', b'"\n"'])
def test_a_source_that_fails_behind_what_it_gave(wire: WireFormat, rest: bytes) -> None:
    body = document(wire)
    for end in (len(body) // 2, len(body) - 30):
        read_alike(wire, body[:end] + rest, fails=True)
