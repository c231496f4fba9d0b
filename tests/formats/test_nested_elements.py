"""XML elements in the shape of JSON, compared with a reference that derives the shape from the document's plan."""

from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from flows_platform.formats.xml.elements import nested, nested_record


@dataclass(frozen=True)
class Text:
    """Characters, plain or as CDATA, which means the same."""

    value: str
    cdata: bool = False

    def xml(self) -> str:
        return f"<![CDATA[{self.value}]]>" if self.cdata else escape(self.value)


@dataclass(frozen=True)
class Aside:
    """A comment or an instruction, which is not content."""

    value: str

    def xml(self) -> str:
        return self.value


@dataclass(frozen=True)
class Element:
    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    content: list["Text | Aside | Element"] = field(default_factory=list)

    def xml(self) -> str:
        attributes = "".join(f" {name}={quoteattr(value)}" for name, value in self.attributes.items())
        return f"<{self.name}{attributes}>{''.join(item.xml() for item in self.content)}</{self.name}>"

    def shape(self) -> object:
        """The reference."""
        inner = [item for item in self.content if isinstance(item, Element)]
        text = "".join(item.value for item in self.content if isinstance(item, Text))
        if not inner and not self.attributes:
            return text
        shape: dict[str, object] = {f"@{name}": value for name, value in self.attributes.items()}
        for name in dict.fromkeys(child.name for child in inner):
            named = [child.shape() for child in inner if child.name == name]
            shape[name] = named[0] if len(named) == 1 else named
        if text.strip() or (text and not inner):
            shape["#text"] = text
        return shape


NAMES = st.sampled_from(["A", "B", "C"])
CHARACTERS = st.text("ab &<>\"'é中😀 \n", max_size=4)
TEXTS = st.builds(Text, CHARACTERS, st.booleans())
ASIDES = st.sampled_from([Aside("<!-- a <b> & c -->"), Aside("<?keep alive?>")])
ATTRIBUTES = st.dictionaries(st.sampled_from(["x", "y"]), st.text("ab &<>\"'é", max_size=3), max_size=2)
ELEMENTS = st.recursive(
    st.builds(Element, NAMES, ATTRIBUTES, st.lists(TEXTS | ASIDES, max_size=3)),
    lambda inner: st.builds(Element, NAMES, ATTRIBUTES, st.lists(inner | TEXTS | ASIDES, max_size=5)),
    max_leaves=12,
)


@given(ELEMENTS)
def test_an_element_keeps_attributes_children_and_text(element: Element) -> None:
    assert nested(etree.fromstring(element.xml())) == element.shape()


@given(ELEMENTS)
def test_a_record_is_always_a_mapping(element: Element) -> None:
    shape = element.shape()
    record = nested_record(etree.fromstring(element.xml()))
    assert record == (shape if isinstance(shape, dict) else {"#text": shape} if shape else {})


def test_a_child_repeated_a_hundred_thousand_times_is_one_list() -> None:
    count = 100_000
    record = nested_record(etree.fromstring("<R>" + "<A>x</A>" * count + "</R>"))
    assert record == {"A": ["x"] * count}


def test_names_keep_their_namespace() -> None:
    record = nested_record(etree.fromstring('<R xmlns="urn:r" xmlns:p="urn:p" p:k="v"><p:A>1</p:A></R>'))
    assert record == {"@{urn:p}k": "v", "{urn:p}A": "1"}
