"""Flat XML records as columns: the same records as element by element, for any document."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from flows_platform.columns.casting import as_mappings
from flows_platform.domain.errors import SourceRefused
from flows_platform.formats.decoders import Layout, open_document
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.formats.xml import decode
from flows_platform.formats.xml.elements import plain_record
from flows_platform.formats.xml.flat_elements import flat_columns
from flows_platform.sources.lanl_flows.schema import FLOWS

from .test_guards import Cut

NAMES = ["id", "a_name_longer_than_eight", "ä", "x.y-z"]
TEXTS = ["", "7", " a\n b\t", "&lt;&amp;gt;&gt;", "&#13;&#xe4;", "<![CDATA[<x>&]]>", "😀]]&gt;", "<![CDATA[]]>"]
ODD = [
    "<!-- <id> -->",
    "<?pi <x> ?>",
    "<id>2</id>",
    "<id a='>'/>",
    "<other/>",
    "<r xmlns='n'><id/></r>",
    "<R><id/></R>",
]


def child(name: str, text: str) -> str:
    return f"<{name}>{text}</{name}>" if text else f"<{name}/>"


FIELDS = st.lists(st.sampled_from(TEXTS), min_size=len(NAMES), max_size=len(NAMES)).map(
    lambda texts: "".join(map(child, NAMES, texts))
)
FLAT = FIELDS.map(lambda fields: f"<r>{fields}</r>")
ANY = (
    FLAT
    | st.sampled_from([*ODD, "<r/>", "<r>text</r>"])
    | st.tuples(FIELDS, st.sampled_from(ODD)).map(lambda both: f"<r>{both[0]}{both[1]}</r>")
)


def documented(elements: list[str]) -> bytes:
    return f"<?xml version='1.0' encoding='UTF-8'?><all n='1'>{''.join(elements)}<?end count='1'?></all>".encode()


def by_element(body: bytes) -> list[dict[str, object]]:
    return [plain_record(record) for record in etree.fromstring(body).iter("r")]


@given(st.lists(ANY, max_size=8), st.lists(st.integers(1, 90), min_size=1, max_size=4), st.integers(1, 200))
def test_any_document_gives_the_records_of_its_elements(elements: list[str], sizes: list[int], least: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(decode, "SLICE_BYTES", least)  # a slice ends after this number of bytes
        document = open_document(WireFormat.XML, Cut(documented(elements), sizes), Layout(FLOWS, "all", "r"))
        expected = by_element(documented(elements))
        try:
            found = [record for piece in document.slices() for record in as_mappings(piece)]
        except SourceRefused:
            found = []  # there are other elements, but no record
    assert found == expected


@given(st.lists(FLAT, min_size=1, max_size=20), st.data())
def test_flat_records_are_taken_as_columns(elements: list[str], data: st.DataObject) -> None:
    count = data.draw(st.integers(1, len(elements)))
    columns = flat_columns(etree.fromstring(documented(elements)), "r", count)
    assert columns is not None
    assert columns.to_pylist() == by_element(documented(elements))[:count]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("inside", [True, False])
def test_what_is_not_flat_is_left_to_the_reference(odd: str, inside: object) -> None:
    good = f"<r>{child('id', '1')}</r>"
    bad = f"<r>{child('id', '1')}{odd}</r>" if inside else odd
    assert flat_columns(etree.fromstring(documented([good, good])), "r", 2) is not None
    assert flat_columns(etree.fromstring(documented([good, bad, good])), "r", 3) is None


@pytest.mark.parametrize(
    ("inside", "record"),
    [
        ("<id>1</id> stray <n>2</n>", {"id": "1", "n": "2", "#text": "stray"}),
        ("lead<id>1</id><n>2</n>", {"id": "1", "n": "2", "#text": "lead"}),
        ("<id>1</id><n>2</n>\u00a0", {"id": "1", "n": "2", "#text": "\u00a0"}),
        ("<id>1</id><!-- c --> <n>2<!-- c -->3<![CDATA[4]]></n>", {"id": "1", "n": "234"}),
        ("<id u='m'>1</id><n v=''/>", {"id": "1", "id.@u": "m", "n": "", "n.@v": ""}),
        ("\n  <id>1</id>\n" + " " * 200 + "<n>2</n>\n", {"id": "1", "n": "2"}),
    ],
)
def test_no_text_and_no_attribute_is_dropped(inside: str, record: dict[str, str]) -> None:
    body = f"<all><r>{inside}</r><r>{inside}</r></all>".encode()
    document = open_document(WireFormat.XML, io.BytesIO(body), Layout(FLOWS, "all", "r"))
    assert [found for piece in document.slices() for found in as_mappings(piece)] == [record] * 2
