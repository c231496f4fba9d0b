"""XML documents with nested records: their path, their envelope, DOCTYPEs, errors, keep-alive comments."""

import io
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

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
from flows_platform.formats.xml import decode
from flows_platform.formats.xml.decode import MAX_BESIDE
from flows_platform.sources.lanl_flows.schema import FLOWS

from .test_guards import Cut

ERRORS = ErrorDocument(
    message=RecordPath.parse("RESPONSE.TEXT"),
    code=RecordPath.parse("RESPONSE.CODE"),
    root="SIMPLE_RETURN",
    transient=("1960",),
)
EXTERNAL = b'<!DOCTYPE OUT SYSTEM "http://127.0.0.1:9/never/fetched.dtd">'
WHOLE = 1 << 20


def layout(record: str = "RESPONSE/LIST/HOST", *, root: str = "OUT", whole: bool = True, **options: object) -> Layout:
    return Layout(FLOWS, root, record, whole=whole, **options)  # type: ignore[arg-type]


def read(body: bytes, layout: Layout, size: int = WHOLE) -> tuple[list[object], Mapping[str, object]]:
    document = open_document(WireFormat.XML, Cut(body, [size]), layout)
    records: list[object] = [record for piece in document.slices() for record in as_mappings(piece)]
    return records, envelope_of(document)


def hosts(count: int, first: int = 1, between: str = "") -> str:
    return between.join(f"<HOST><ID>{number}</ID></HOST>" for number in range(first, first + count))


def out(inside: str, head: bytes = b"") -> bytes:
    return b"<?xml version='1.0' encoding='UTF-8' ?>\n" + head + f"<OUT><RESPONSE>{inside}</RESPONSE></OUT>".encode()


SIZES = st.integers(1, 200) | st.just(WHOLE)


@given(st.integers(0, 1200), SIZES, st.sampled_from(["", "\n  ", "<!-- keep-alive -->\n"]))
def test_the_envelope_is_kept_without_the_records(count: int, size: int, between: str) -> None:
    listed = f"<LIST>{between}{hosts(count, between=between)}{between}</LIST>" if count else ""
    body = out(f"<DATETIME>now</DATETIME>{listed}<WARNING><CODE>1980</CODE><URL><![CDATA[?a&b]]></URL></WARNING>")
    records, envelope = read(body + b"<!-- keep-alive -->\n", layout(nothing=frozenset({"missing"})), size)
    assert records == [{"ID": str(number)} for number in range(1, count + 1)]
    around = {"DATETIME": "now", "WARNING": {"CODE": "1980", "URL": "?a&b"}}
    assert {name: value for name, value in envelope["RESPONSE"].items() if name != "LIST"} == around  # type: ignore[attr-defined]
    assert str(envelope).count("ID") == 0


@pytest.mark.parametrize("count", [0, 1, 511, 512, 513, 5000])
def test_elements_beside_the_records_in_their_list_are_kept(count: int) -> None:
    body = (
        f"<OUT><TOTAL>7</TOTAL>{hosts(count)}<!-- c --><NEXT>/2</NEXT>{hosts(count, count + 1)}<LAST/></OUT>".encode()
    )
    records, envelope = read(body, layout("HOST", nothing=frozenset({"missing"})))
    assert (len(records), envelope) == (2 * count, {"TOTAL": "7", "NEXT": "/2", "LAST": ""})


@pytest.mark.parametrize("whole", [True, False])
def test_records_may_lie_in_many_lists(whole: bool) -> None:  # noqa: FBT001 - a parameter of the test
    groups = "".join(f"<LIST>{hosts(3, 3 * number)}</LIST>" for number in range(4000))
    records, envelope = read(out("<N>12000</N>" + groups), layout(whole=whole, enveloped=True))
    assert records == [{"ID": str(number)} for number in range(12000)]
    assert envelope["RESPONSE"]["N"] == "12000"  # type: ignore[index]
    assert len(str(envelope)) < 2000


@pytest.mark.parametrize(
    "inside",
    [f"<LIST>{'<HOST/><META/>' * (MAX_BESIDE + 512)}</LIST>", "<LIST n='1'><HOST/></LIST>" * (MAX_BESIDE + 512)],
)
def test_more_around_the_records_than_memory_should_hold_is_refused(inside: str) -> None:
    with pytest.raises(SourceRefused, match="elements around its records"):
        read(out(inside), layout())


@pytest.mark.parametrize(
    "inside", ["<HOST/>", "<LIST><X><HOST/></X></LIST>", "<OTHER><HOST/></OTHER>", "<LIST><HOST><HOST/></HOST></LIST>"]
)
def test_a_record_elsewhere_than_declared_is_refused(inside: str) -> None:
    with pytest.raises(SourceRefused, match=r"a <HOST> is in '.*', not in 'RESPONSE/LIST'"):
        read(out(inside), layout())


@pytest.mark.parametrize("root", ["<HTML/>", "<SIMPLE_RETURN/>", "<OUTS><HOST/></OUTS>"])
def test_another_root_is_refused(root: str) -> None:
    with pytest.raises(SourceRefused, match="the XML root is"):
        read(root.encode(), layout("HOST"))


MEMORY = """
import re
from flows_platform.formats.xml import decode
from flows_platform.formats.decoders import Layout, envelope_of, open_document
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.sources.lanl_flows.schema import FLOWS

HOST = b"<HOST id='7'><!-- keep-alive --><ID>%d</ID><TAGS><TAG>a</TAG><TAG>b</TAG></TAGS><T><![CDATA[&]]></T></HOST>\\n"

class Source:
    def __init__(self, count):
        self.pieces = self.made(count)
    def made(self, count):
        yield b"<OUT><RESPONSE><N>1</N><LIST>"
        for first in range(0, count, 100):
            yield b"".join(HOST % number for number in range(first, first + 100)) + b"<!-- keep-alive -->"
            if first % 10000 == 0:
                yield b"</LIST><LIST>"
        yield b"</LIST><WARNING><CODE>1980</CODE></WARNING></RESPONSE></OUT>"
    def read(self, size=-1):
        return next(self.pieces, b"")

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])

for count in (2_000, 200_000):
    layout = Layout(FLOWS, "OUT", "RESPONSE/LIST/HOST", whole=True)
    document = open_document(WireFormat.XML, Source(count), layout)
    seen = sum(map(len, document.slices()))
    print(seen, len(str(envelope_of(document))), peak())
"""


@pytest.mark.slow
def test_the_envelope_costs_no_memory_over_200_thousand_records() -> None:
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True, cwd=Path.cwd())
    small, large = (tuple(map(int, line.split())) for line in done.stdout.splitlines())
    assert (small[0], large[0]) == (2_000, 200_000)
    assert small[1] <= large[1] < 300
    assert large[2] - small[2] <= 8 << 10, f"{small[2]} KB to {large[2]} KB"


def test_an_external_doctype_passes_where_it_is_declared_and_is_never_fetched() -> None:
    listed = f"<LIST>{hosts(3)}</LIST>"
    for doctype in (
        EXTERNAL,
        b"<!-- <b> [ --><!DOCTYPE OUT SYSTEM 'x y'  >\n<!-- <!DOCTYPE -->",
        b'<!DOCTYPE\nOUT PUBLIC "-//A" "http://127.0.0.1:9/x">',
        b"<!DOCTYPE OUT>",
    ):
        for size in (1, 7, WHOLE):
            assert len(read(out(listed, doctype), layout(doctype=True), size)[0]) == 3
            with pytest.raises(SourceRefused, match="has a DOCTYPE"):
                read(out(listed, doctype), layout(), size)


@pytest.mark.parametrize(
    "doctype",
    [
        b"<!DOCTYPE OUT [<!ENTITY a 'x'>]>",
        b"<!DOCTYPE OUT SYSTEM 'x' [<!ENTITY a 'x'>]>",
        b"<!DOCTYPE OUT SYSTEM 'x' []>",
        b"<!DOCTYPE OUT SYSTEM 'x>y' [<!ATTLIST HOST k CDATA 'v'>]>",
        b"<!DOCTYPE OUT SYSTEM '<!--' [<!ATTLIST HOST k CDATA 'v'>]><!-- -->",
        b"<!-- <b> --><!DOCTYPE OUT [<!ATTLIST HOST k CDATA 'v'>]>",
        b"<!-- <!DOCTYPE OUT> --><!DOCTYPE OUT [<!NOTATION n SYSTEM 'x'>]>",
        b"<?p <b> ?><!DOCTYPE OUT [<!ENTITY % x SYSTEM 'file:///etc/passwd'> %x;]>",
        b"<!DOCTYPE OUT SYSTEM 'x'><!DOCTYPE OUT SYSTEM 'x'>",
    ],
)
@pytest.mark.parametrize("size", [1, 5, WHOLE])
@pytest.mark.parametrize("allowed", [True, False])
def test_an_internal_subset_is_refused_also_where_a_doctype_is_declared(
    doctype: bytes, size: int, *, allowed: bool
) -> None:
    with pytest.raises((MalformedDocument, SourceRefused)):
        read(out("<LIST><HOST/></LIST>", doctype), layout(doctype=allowed), size)


def test_an_entity_of_the_external_dtd_is_refused_not_left_out() -> None:
    with pytest.raises((MalformedDocument, StreamIncomplete), match="Entity 'who' not defined"):
        read(out("<LIST><HOST><ID>v&who;w</ID></HOST></LIST>", EXTERNAL), layout(doctype=True))


def test_a_bomb_of_entities_is_refused_also_where_a_doctype_is_declared() -> None:
    entities = b"".join(b"<!ENTITY a%d '%s'>" % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 12))
    bomb = b"<!DOCTYPE OUT SYSTEM 'x' [<!ENTITY a0 'ha'>" + entities + b"]>"
    with pytest.raises(SourceRefused, match="DOCTYPE declares names of its own"):
        read(out("<LIST><HOST><ID>&a11;</ID></HOST></LIST>", bomb), layout(doctype=True))


def simple_return(code: str) -> bytes:
    text = "Too many calls." if code == "1960" else "Bad value."
    return (
        EXTERNAL
        + f"<SIMPLE_RETURN><RESPONSE><CODE>{code}</CODE><TEXT>{text}</TEXT></RESPONSE></SIMPLE_RETURN>".encode()
    )


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        ("1960", SourceUnavailable, r"the API answers with an error 1960: Too many calls\.$"),
        ("1905", SourceRefused, r"the API answers with an error 1905: Bad value\.$"),
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_an_error_document_is_not_an_empty_answer(
    code: str, kind: type[PlatformError], message: str, *, whole: bool
) -> None:
    with pytest.raises(kind, match=message):
        read(simple_return(code), layout(errors=ERRORS, doctype=True, whole=whole))
    with pytest.raises(SourceRefused, match="the XML root is <SIMPLE_RETURN>"):
        read(simple_return(code), layout(doctype=True, whole=whole))


@pytest.mark.parametrize("text", ["No hosts", "<![CDATA[No hosts]]>", "<!-- none -->No hosts"])
def test_a_text_instead_of_the_records_is_not_an_empty_list(text: str) -> None:
    with pytest.raises(SourceRefused, match=r"no <HOST> in 'OUT/RESPONSE/LIST': it contains the text 'No hosts'"):
        read(out(f"<LIST>{text}</LIST>"), layout())
    assert read(out(f"<LIST>{text}</LIST>"), layout(nothing=frozenset({"missing"})))[0] == []
    assert read(out("<LIST>\n <!-- none --> </LIST>"), layout())[0] == []


@pytest.mark.parametrize("at", ["before", "after"])
def test_an_error_beside_the_records_is_one_whatever_the_root(at: str) -> None:
    said, listed = "<TEXT>Half of it.</TEXT><CODE>7</CODE>", f"<LIST>{hosts(3)}</LIST>"
    errors = ErrorDocument(message=RecordPath.parse("RESPONSE.TEXT"), code=RecordPath.parse("RESPONSE.CODE"))
    with pytest.raises(SourceRefused, match=r"error 7: Half of it\."):
        read(out(said + listed if at == "before" else listed + said), layout(errors=errors))
    assert len(read(out(f"<TEXT/>{listed}"), layout(errors=errors))[0]) == 3


def test_endless_keep_alive_is_refused() -> None:
    body = out("<LIST>" + "<!-- keep-alive -->" * 100_000)
    with pytest.raises(SourceRefused, match="without the end of a record"):
        read(body, layout(record_bytes=1 << 18), 1 << 16)


@pytest.mark.parametrize("end", [b"", b"</LIST>", b"</LIST></RESPONSE>"])
def test_a_cut_document_is_incomplete(end: bytes) -> None:
    body = out(f"<LIST>{hosts(5)}").removesuffix(b"</RESPONSE></OUT>") + end
    with pytest.raises(StreamIncomplete):
        read(body, layout(), 64)
    assert io.BytesIO(body).read().count(b"<HOST>") == 5


@pytest.mark.slow
def test_instructions_between_records_in_any_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parser may still write to the text after an instruction, so that instruction stays in the tree."""
    monkeypatch.setattr(decode, "SLICE_BYTES", 1)
    record = "<record><a>1</a></record>"
    body = f"<records>{record}{(' ' * 40 + '<?x?>' + ' ' * 900 + record) * 3}</records>".encode()
    for size in range(5, 300):
        assert read(body, Layout(FLOWS), size)[0] == [{"a": "1"}] * 4


@pytest.mark.parametrize("end", [b"", b"</other>"])
def test_the_parsers_words_are_shortened(end: bytes) -> None:
    name = b"n" * 5000
    with pytest.raises(PlatformError) as caught:
        read(b"<records><record><" + name + b"></record>" + end, Layout(FLOWS))
    assert len(str(caught.value)) < 300
