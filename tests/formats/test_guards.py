"""The guards before the parsers: harmless documents pass unchanged in any pieces, others do not pass."""

import io
import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows_platform.columns.casting import as_mappings
from flows_platform.domain.errors import SourceRefused
from flows_platform.formats.decoders import Layout, open_document
from flows_platform.formats.json.guard import MAX_CONTAINERS, MAX_DEPTH, MAX_DIGITS, JsonGuard
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.formats.xml.guard import MAX_ATTRIBUTES, MAX_NAMES, XmlGuard
from flows_platform.sources.lanl_flows.schema import FLOWS


class Cut(io.BytesIO):
    """A source that gives pieces of these sizes, over and over."""

    def __init__(self, body: bytes, sizes: list[int]) -> None:
        super().__init__(body)
        self._sizes = self._endless(sizes)

    @staticmethod
    def _endless(sizes: list[int]) -> Iterator[int]:
        while True:
            yield from sizes

    def read(self, _size: int | None = -1, /) -> bytes:
        return super().read(next(self._sizes))


def records(body: bytes, sizes: list[int], wire: WireFormat = WireFormat.JSON) -> list[object]:
    document = open_document(wire, Cut(body, sizes), Layout(FLOWS))
    return [record for piece in document.slices() for record in as_mappings(piece)]


SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=5)
TEXT = st.text(st.sampled_from('"\\[]{}:,/u d8\ud800\udbff\udc00\udfffé中😀0\n\x00') | st.characters())
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.lists(st.dictionaries(TEXT, VALUES, max_size=4), max_size=4)


@given(RECORDS, SIZES, st.booleans())
def test_any_records_come_through_ijson_as_they_were_sent(
    sent: list[dict[str, object]], sizes: list[int], spaces: object
) -> None:
    indent = 1 if spaces else None
    body = json.dumps({"a": {"b": [{"c": ":"}]}, "records": sent, "end": {"count": len(sent)}}, indent=indent).encode()
    assert records(body, sizes) == json.loads(body)["records"]


@given(st.lists(st.sampled_from(["\\ud83d", "\\ude00", "\\\\", "\\n", '\\"', "x", "\\u00e9", "\\uD55C"])), SIZES)
def test_halves_of_surrogate_pairs_are_neither_lost_nor_changed(escapes: list[str], sizes: list[int]) -> None:
    body = '{"records":[{"a":"%s"}]}' % "".join(escapes)  # noqa: UP031 - braces
    assert records(body.encode(), sizes) == json.loads(body)["records"]


@pytest.mark.parametrize("record", ['{"a":1,"a":2}', '{"a":{"b":1,"b":2}}', '{"a":[{"b":1,"\\u0062":2}]}'])
@given(sizes=SIZES)
def test_a_repeated_key_is_seen(record: str, sizes: list[int]) -> None:
    body = b'{"x":{"y":1},"records":[{"c":1},%s,{"d":":"}],"end":{"count":3}}' % record.encode()
    with pytest.raises(SourceRefused, match="repeat keys"):
        records(body, sizes)


SIZE = st.sampled_from([1, 7, 255, 4096, 1 << 18])


@given(SIZE, st.integers(0, 600), st.integers(0, 300))
def test_long_numbers_are_refused_wherever_they_lie(size: int, before: int, more: int) -> None:
    body = b'{"records":[{"a":"%s","b":%s}]}' % (b"x" * before, b"7" * (MAX_DIGITS + 1 + more))
    with pytest.raises(SourceRefused, match="digits"):
        records(body, [size])


@pytest.mark.parametrize("size", [5, 1 << 18])
def test_long_texts_of_digits_are_no_numbers(size: int) -> None:
    digits = "7" * 20_000
    body = json.dumps({"records": [{"a": digits, digits: 1, "b": f'"{digits}\\'}]}).encode()
    assert records(body, [size]) == [{"a": digits, digits: 1, "b": f'"{digits}\\'}]


@pytest.mark.parametrize("size", [5, 1 << 18])
@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"a":"]]]]]",":":[', b'["\\"]",'])
def test_deep_nesting_is_refused(size: int, opening: bytes) -> None:
    with pytest.raises(SourceRefused, match="nested deeper"):
        records(b'{"records":[' + opening * (MAX_DEPTH + 1), [size])


def test_brackets_in_texts_are_no_nesting() -> None:
    sent = [{"a": "[{" * 500, "b": '"[\\"[', "c": [[1]]}]
    assert records(json.dumps({"records": sent}).encode(), [11]) == sent


def test_the_guard_admits_every_byte_of_a_plain_document() -> None:
    body = json.dumps({"records": [{"a": "\\ \u00e9 😀 \ud7ff"}] * 50}).encode()
    guard = JsonGuard()
    assert b"".join(guard.admit(body[start : start + 7]) for start in range(0, len(body), 7)) + guard.finish() == body


@pytest.mark.parametrize("size", [9, 1 << 15])
@pytest.mark.parametrize(
    "prolog",
    [
        b"<!DOCTYPE records>",
        b"<?xml version='1.0'?> <!-- c --> <!DOCTYPE records [<!ENTITY a 'x'>]>",
        b"<?xml version='1.0' encoding='UTF-16'?>",
        b"<?xml version='1.0' encoding='utf-7'?>",
        b"\x4c\x6f\xa7\x94",
        b"hello",
        "<?xml version='1.0'?>".encode("utf-16"),
        b" " * 70_000,
    ],
)
def test_xml_prologs_that_are_refused(prolog: bytes, size: int) -> None:
    with pytest.raises(SourceRefused):
        records(prolog + b"<records></records>", [size], WireFormat.XML)


@pytest.mark.parametrize("prolog", [b"", b"\xef\xbb\xbf", b"\n\n", b"<?xml version='1.0' encoding='us-ascii'?><?a b?>"])
def test_xml_prologs_that_are_read(prolog: bytes) -> None:
    if prolog == b"\n\n":
        prolog = b"<!-- a comment -->\n"
    assert records(prolog + b"<records></records>", [5], WireFormat.XML) == []


def test_a_doctype_that_hides_behind_a_comment_is_refused() -> None:
    hidden = b"<!-- <records> --><!DOCTYPE records [<!ENTITY a 'x'>]><records></records>"
    with pytest.raises(SourceRefused, match="DOCTYPE"):
        records(hidden, [1 << 15], WireFormat.XML)


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        (b"<!DOCTYPE records>", "DOCTYPE"),
        (b" " * 70_000, "no root element"),
        (b"<?xml version='1.0' encoding='utf-7'?>", "'utf-7'; .* are supported"),
        (b"<records>" + b"<a/>" * 200_001, "200,000 tags"),
        (b"<records><a>" + b"=" * 150_001, "150,000 attributes"),
    ],
)
def test_the_guard_alone_refuses_it(start: bytes, reason: str) -> None:
    """Before libxml2, which would refuse some of them later and keep the others in memory."""
    with pytest.raises(SourceRefused, match=reason):
        XmlGuard().admit(start)


@pytest.mark.parametrize(
    "declared", [b" [<!ENTITY a 'x'>]>", b" SYSTEM 'a.dtd' [<!ELEMENT b ANY>]>", b" SYSTEM 'a>b' [<!ENTITY c 'd'>]>"]
)
def test_a_doctype_that_is_let_pass_declares_nothing(declared: bytes) -> None:
    XmlGuard(doctype=True).admit(b"<!DOCTYPE records SYSTEM 'https://host.example/a.dtd'><records>")
    with pytest.raises(SourceRefused, match="declares names of its own"):
        XmlGuard(doctype=True).admit(b"<!DOCTYPE records" + declared)


def test_json_containers_are_bounded() -> None:
    guard = JsonGuard()
    guard.admit(b"[" + b"{}," * (MAX_CONTAINERS - 1))
    with pytest.raises(SourceRefused, match="200,000 JSON objects and arrays"):
        guard.admit(b"{}")
    guard.release()
    guard.admit(b"{}")


def guard_of(*chunks: bytes) -> XmlGuard:
    guard = XmlGuard()
    for chunk in (b"<records>", *chunks):
        guard.admit(chunk)
    return guard


@pytest.mark.parametrize("size", [1000, 1 << 15])
def test_an_element_of_many_attributes_is_refused(size: int) -> None:
    tag = b"<record " + b" ".join(b"a%d = '>'" % number for number in range(20_000)) + b">"
    assert tag.count(b"=") > MAX_ATTRIBUTES
    with pytest.raises(SourceRefused, match="attributes"):
        guard_of(*(tag[start : start + size] for start in range(0, len(tag), size)))


def test_long_texts_and_values_are_no_attributes() -> None:
    long = b"a = 'b' " * 20_000
    guard_of(b"<record><id>", long[:40_000], long[40_000:], b"</id></record>")
    guard_of(b'<record a="', b"x" * 100_000, b'"></record>')
    guard_of(b"<!-- ", long, b" -->")


@pytest.mark.parametrize("form", ["<r%d/>", "<id a%d='1'/>", "<id xmlns:p='u%d'/>", "<?p%d x?>"])
def test_many_distinct_names_are_refused(form: str) -> None:
    one = "<record>{}</record>"
    several = "".join(one.format(form % number) for number in range(MAX_NAMES + 100))
    with pytest.raises(SourceRefused, match="distinct names"):
        records(f"<records>{several}</records>".encode(), [1 << 15], WireFormat.XML)


def test_many_distinct_names_in_flat_records_are_refused() -> None:
    """Every slice is one record with names of its own, and so is read as columns."""
    texts = [
        "".join(f"<n{1000 * number + index}>{'x' * 300}</n{1000 * number + index}>" for index in range(1000))
        for number in range(5)
    ]
    body = "".join(f"<record>{fields}</record>" for fields in texts)
    with pytest.raises(SourceRefused, match="distinct names"):
        records(f"<records>{body}</records>".encode(), [1 << 15], WireFormat.XML)


def test_comments_in_every_record_are_no_fields() -> None:
    body = b"<records><record><!-- c --><id>7</id></record><record><!-- d --><id>8</id></record></records>"
    assert records(body, [9], WireFormat.XML) == [{"id": "7"}, {"id": "8"}]


def test_the_fields_of_xml_records_with_attributes_are_still_read() -> None:
    body = b'<records><record seq="1"><id unit="x">7</id></record></records>'
    assert records(body, [1 << 15], WireFormat.XML) == [{"@seq": "1", "id": "7", "id.@unit": "x"}]


@pytest.mark.parametrize("wire", [WireFormat.JSON, WireFormat.XML, WireFormat.CSV, WireFormat.NDJSON])
def test_a_record_that_does_not_end_is_refused(wire: WireFormat) -> None:
    start = {
        WireFormat.JSON: b'{"records":[{"a":"',
        WireFormat.XML: b"<records><record><a>",
        WireFormat.CSV: b"id,name\r\n",
        WireFormat.NDJSON: b'{"a":"',
    }[wire]
    document = open_document(wire, io.BytesIO(start + b"x," * (2 << 20)), Layout(FLOWS, record_bytes=1 << 20))
    with pytest.raises(SourceRefused, match="1,048,576"):
        list(document.slices())


@pytest.mark.parametrize("wire", [WireFormat.JSON, WireFormat.XML, WireFormat.CSV, WireFormat.NDJSON])
def test_large_records_are_cut_into_small_slices(wire: WireFormat) -> None:
    text = "x" * 100_000
    one = {"id": text}
    bodies = {
        WireFormat.JSON: json.dumps({"records": [one] * 100}),
        WireFormat.XML: f"<records>{f'<record><id>{text}</id></record>' * 100}</records>",
        WireFormat.CSV: "id\r\n" + f"{text}\r\n" * 100,
        WireFormat.NDJSON: (json.dumps(one) + "\n") * 100,
    }
    document = open_document(wire, io.BytesIO(bodies[wire].encode()), Layout(FLOWS))
    sizes = [len(piece.values) if hasattr(piece, "values") else len(piece) for piece in document.slices()]
    assert sum(sizes) == 100
    assert max(sizes) <= 8  # 256 KiB and one more read, of records of 100 kB
