"""Characters that XML and JSON do not allow: refused by name, or replaced and counted, in any pieces."""

import pytest

from flows_platform.domain.errors import PlatformError, SourceRefused
from flows_platform.formats.decoders import Layout, open_document
from flows_platform.formats.protocol.characters import JsonCharacters, LineCharacters, XmlCharacters
from flows_platform.formats.protocol.names import Parser, WireFormat
from flows_platform.sources.lanl_flows.schema import FLOWS

from .test_guards import Cut
from .test_xml_documents import layout, out, read

SIZES = [1, 2, 3, 5, 8, 13, 1000]
XML = [
    (b"<a>x\x0by\x00</a>", "<a>x\ufffdy\ufffd</a>".encode(), 2),
    (
        b"<a><![CDATA[x\x1b&#11;]]>&#11;&#x0B;&#xD800;&#0;&#65;&#10;</a>",
        "<a><![CDATA[x\ufffd&#11;]]>&#xFFFD;&#xFFFD;&#xFFFD;&#xFFFD;&#65;&#10;</a>".encode(),
        5,
    ),
    (b"<!-- &#1; --><?p &#1; ?><a>]]&#1;--&#1;</a>", b"<!-- &#1; --><?p &#1; ?><a>]]&#xFFFD;--&#xFFFD;</a>", 2),
    ("<a>\ufffe\uffff\ufffd\ud7ff\t\r\n</a>".encode(), "<a>\ufffd\ufffd\ufffd\ud7ff\t\r\n</a>".encode(), 2),
    (b"<a>\xed\xa0\x80</a>", "<a>\ufffd</a>".encode(), 1),
    (b"<![CDATA[]]]]><![CDATA[>]]>&#8;", b"<![CDATA[]]]]><![CDATA[>]]>&#xFFFD;", 1),
    (b"<!---->&#8;<a", b"<!---->&#xFFFD;<a", 1),
]


def all_of(source: XmlCharacters | JsonCharacters) -> bytes:
    return b"".join(iter(source.read, b""))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("sent", "clean", "count"), XML)
def test_invalid_characters_of_xml_are_replaced(sent: bytes, clean: bytes, count: int, size: int) -> None:
    source = XmlCharacters(Cut(sent, [size]))
    assert (all_of(source), source.replaced) == (clean, count)


@pytest.mark.parametrize("size", SIZES)
def test_control_characters_in_texts_of_json_are_replaced(size: int) -> None:
    sent = b'{"a\x01":"b\x0b\\"\n\\\\","c":"\\\\\\"\t"}\n\x0c'
    clean = '{"a\ufffd":"b\ufffd\\"\ufffd\\\\","c":"\\\\\\"\ufffd"}\n\x0c'.encode()
    source = JsonCharacters(Cut(sent, [size]))
    assert (all_of(source), source.replaced) == (clean, 4)


@pytest.mark.parametrize("size", SIZES)
def test_a_text_that_a_line_leaves_open_ends_with_it(size: int) -> None:
    sent = b'{"a":"x\x0by"}\n\n{"a":"open\x01\n{"b":"q\\"\t"}\r\n\t{"c":1\x03}\n"\\\\\x04"'
    clean = '{"a":"x\ufffdy"}\n\n{"a":"open\ufffd\n{"b":"q\\"\ufffd"}\r\n\t{"c":1\x03}\n"\\\\\ufffd"'.encode()
    source = LineCharacters(Cut(sent, [size]))
    assert (all_of(source), source.replaced) == (clean, 4)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    ("text", "code"), [("a\x0bb", "000B"), ("<![CDATA[a\x1fb]]>", "001F"), ("a&#11;", "000B"), ("a&#xD800;", "D800")]
)
def test_an_invalid_character_is_refused_by_its_name(text: str, code: str, *, whole: bool) -> None:
    with pytest.raises(SourceRefused, match=rf"U\+{code}, .* after '.*a'.*invalid_characters: replace"):
        read(out(f"<LIST><HOST><T>{text}</T></HOST></LIST>"), layout(whole=whole))


def test_bytes_of_another_encoding_are_letters_and_a_control_character_there_is_refused() -> None:
    head = b"<?xml version='1.0' encoding='ISO-8859-1'?>"
    letters = head + b"<a>\xef\xbf\xbe&#11;</a>"
    source = XmlCharacters(Cut(letters, [1000]))
    assert (all_of(source), source.replaced) == (letters.replace(b"&#11;", b"&#xFFFD;"), 1)
    with pytest.raises(SourceRefused, match="reads XML in UTF-8; the document is in 'ISO-8859-1'"):
        all_of(XmlCharacters(Cut(head + b"<a>\x0b</a>", [7])))


@pytest.mark.parametrize("parser", Parser)
@pytest.mark.parametrize(("character", "code"), [("\x0b", "000B"), ("\n", "000A"), ("\t", "0009"), ("\x1f", "001F")])
def test_a_control_character_in_json_is_refused_by_its_name(character: str, code: str, parser: Parser) -> None:
    body = f'{{"records":[\n{{"id":1}},\t{{"id":"é ban{character}ner"}}]}}'.encode()
    document = open_document(WireFormat.JSON, Cut(body, [1000]), Layout(FLOWS, parser=parser))
    with pytest.raises(PlatformError, match=rf"U\+{code}.* after '.*ban'.*invalid_characters: replace"):
        list(document.slices())


@pytest.mark.parametrize("body", ['{"records":[{"id":%s}]}', '{"x":%s,"records":[]}', '{"records":[],"x":%s}'])
def test_a_number_that_no_decimal_holds_is_an_error_of_ours(body: str) -> None:
    document = open_document(WireFormat.JSON, Cut((body % ("1e" + "9" * 19)).encode(), [1000]), Layout(FLOWS))
    with pytest.raises(SourceRefused, match="exponent"):
        list(document.slices())
