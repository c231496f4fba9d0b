"""Characters that XML and JSON do not allow: refused by name, or replaced and counted, however the pieces fall."""

import pytest

from flows_platform.domain.errors import SourceRefused
from flows_platform.wire.decode.characters import JsonCharacters, XmlCharacters

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


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    ("text", "code"), [("a\x0bb", "000B"), ("<![CDATA[a\x1fb]]>", "001F"), ("a&#11;", "000B"), ("a&#xD800;", "D800")]
)
def test_an_invalid_character_is_refused_by_its_name(text: str, code: str, *, whole: bool) -> None:
    with pytest.raises(SourceRefused, match=rf"U\+{code}, .* behind '.*a'.*invalid_characters: replace"):
        read(out(f"<LIST><HOST><T>{text}</T></HOST></LIST>"), layout(whole=whole))
