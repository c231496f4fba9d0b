"""Documents with proven blocks: the same records or the same error as without them, however the bytes are cut."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows_platform.domain.errors import SourceRefused
from flows_platform.formats.protocol.names import WireFormat
from tests.faults.scale import scaled

from .read_in_blocks import SPOILT, read, read_alike
from .test_guards import RECORDS

SIZES = st.lists(st.integers(1, 400), min_size=1, max_size=5)
FLAT = st.fixed_dictionaries({"a": st.integers(), "b": st.text('x{}[]":,\\é\ud800\udc00', max_size=6)})


@given(st.lists(FLAT, max_size=12) | RECORDS, SIZES, st.booleans(), st.booleans())
def test_json_in_blocks(records: list[object], sizes: list[int], spaces: object, ascii_only: object) -> None:
    document = {"a": [{"b": 1}], "records": [*records, *records], "end": {"count": 2 * len(records)}, "z": [{}, {}]}
    text = json.dumps(document, indent=1 if spaces else None, ensure_ascii=bool(ascii_only))
    read_alike(text.encode(errors="surrogatepass"), sizes, WireFormat.JSON)


BODY = json.dumps(
    {"records": [{"a": n, "b": "},{", "c": {"d": [n]}} for n in range(12)], "end": {"count": 12}}
).encode()


@given(st.integers(0, len(BODY)), st.sampled_from([b"", b",", b"]", b"}", b'"', b"{}", b"\\", b"0", b"\x0c"]), SIZES)
def test_json_that_is_cut_short_or_spoiled(position: int, instead: bytes, sizes: list[int]) -> None:
    read_alike(BODY[:position], sizes, WireFormat.JSON)
    read_alike(BODY[:position] + instead + BODY[position + 1 :], sizes, WireFormat.JSON)


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("instead", [b";", b"", b"0", b" ", b"x,", b",,"])
def test_json_without_a_comma_between_records(instead: bytes) -> None:
    good = [b'{"a":1}'] * 12
    for position in range(1, 12):
        body = b'{"records":[' + b",".join(good[:position]) + instead + b",".join(good[position:]) + b"]}"
        for size in range(4, 60, scaled(1, 5)):
            read_alike(body, [size], WireFormat.JSON)
            assert read(body, [size], WireFormat.JSON)[0] in SPOILT


ELEMENTS = st.sampled_from(
    [
        "<record><a>1</a><b>x &amp; y</b></record>",
        "<record><a>2</a><b/></record>",
        "\n  ",
        "<record/>",
        "<record x='>'><a>3</a></record>",
        "<record><a>4</a><record><a>5</a></record></record>",
        "<other><record><a>6</a></record></other>",
        "<other><record><a>6</a></record><record><a>7</a></record></other>",
        "<record><a><![CDATA[</record><record>]]></a></record>",
        "<!-- </record> -->",
        "<?pi </record>?>",
        "<?flows-cut?>",
        "<record><c xmlns='urn:x'>7</c></record >",
    ]
)
LISTS = st.lists(ELEMENTS, max_size=6).map("".join)
PLAIN = st.lists(st.sampled_from(["<record><a>1</a><b>é</b></record>", "<record><a>2</a><b/></record>\n"]), max_size=20)


@given(PLAIN.map("".join), LISTS, PLAIN.map("".join), SIZES, st.sampled_from(["", "<?xml version='1.0'?>", "<!--x-->"]))
def test_xml_in_blocks(first: str, odd: str, last: str, sizes: list[int], head: str) -> None:
    body = f"{head}<records>{first}{odd}{last}<?end count='1'?></records>".encode()
    read_alike(body, sizes, WireFormat.XML)


@pytest.mark.slow
@pytest.mark.parametrize(
    "odd",
    [
        "<record><a>4</a><record><a>5</a></record><b>6</b></record>",
        "<other><record><a>6</a></record><record><a>7</a></record></other>",
        "<record><a><![CDATA[</record><record>]]></a></record>",
        "<record><a>7<!-- </record><record> --></a></record>",
    ],
)
def test_what_looks_like_the_end_of_a_record_and_is_none(odd: str) -> None:
    plain = "<record><a>1</a></record>"
    body = f"<records>{plain * 6}{odd * 12}{plain * 6}</records>".encode()
    for size in range(10, 160):
        read_alike(body, [size], WireFormat.XML)


FLAT_JSON = json.dumps({"records": [{"b": "},{", "a": n} for n in range(12)], "end": {"count": 12}}).encode()
XML = b"<records>" + b"<record><a>1</a><b>two</b></record>" * 12 + b"<?end count='12'?></records>"


@given(st.integers(0, len(XML)), st.sampled_from([b"", b"<", b">", b"/", b"&", b"</record>", b"<record>"]), SIZES)
def test_xml_that_is_cut_short_or_spoiled(position: int, instead: bytes, sizes: list[int]) -> None:
    read_alike(XML[:position], sizes, WireFormat.XML)
    read_alike(XML[:position] + instead + XML[position + 1 :], sizes, WireFormat.XML)


@pytest.mark.parametrize("first", [b'<record"></record>', b'<record a="</record>', b'<record a="1" a=\'</record>'])
@pytest.mark.parametrize("size", [7, 64, 512])
def test_an_end_of_a_record_before_any_element_of_it(first: bytes, size: int) -> None:
    body = b"<records>" + first + b"<record><a>1</a></record>" * 40 + b"</records>"
    read_alike(body, [size], WireFormat.XML)
    assert read(body, [size], WireFormat.XML)[0] in SPOILT


@pytest.mark.parametrize(("body", "wire"), [(FLAT_JSON, WireFormat.JSON), (XML, WireFormat.XML)])
def test_most_of_a_document_is_given_in_blocks(body: bytes, wire: WireFormat) -> None:
    assert read_alike(body, [len(body) // 5], wire) >= 1


@pytest.mark.parametrize(
    "head",
    [
        b"<?xml version='1.0' encoding='ISO-8859-1'?><records>",
        b"<?xml version='1.1'?><records>",
        b"<records xmlns:x='urn:x'>",
        b"<!-- of a flow --><records>",
        b"<records><!-- of a flow -->",
    ],
)
def test_where_the_end_of_a_record_may_be_something_else_no_block_is_taken(head: bytes) -> None:
    body = head + XML.removeprefix(b"<records>")
    assert read_alike(body, [40], WireFormat.XML) == 0


@pytest.mark.parametrize("odd", ['{"a":1}', '{"a":1,"b":2,"c":3}', '{"a":1,"a":1,"b":2}', "7", '"ab"', "[1,2]", "null"])
def test_a_record_of_other_fields_is_read_as_ever(odd: str) -> None:
    good = '{"a":1,"b":"x"}'
    body = f'{{"records":[{",".join([good] * 30 + [odd] + [good] * 30)}]}}'.encode()
    assert read_alike(body, [200], WireFormat.JSON) > 1


def test_keys_that_repeat_are_refused_wherever_they_stand() -> None:
    good = b'{"a":1,"b":"x"}'
    body = b'{"records":[' + b",".join([good] * 30 + [b'{"a":1,"a":2}'] + [good] * 30) + b"]}"
    assert read(body, [200], WireFormat.JSON)[0] is SourceRefused
