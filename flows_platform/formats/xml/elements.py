"""XML elements as records: flat, or nested in the shape of decoded JSON."""

import base64
import binascii
from collections.abc import Iterable

from lxml import etree

from flows_platform.columns.paths import TEXT
from flows_platform.domain.errors import SourceRefused
from flows_platform.formats.protocol.names import BASE64, ENCODING_ATTRIBUTE

BLANK = " \t\r\n"  # white space of XML
MAX_DEPTH = 256  # levels below a record: casting and the quarantine recurse


def nested(element: etree._Element, depth: int = 1) -> object:
    """An element's text; if it has attributes or children, a mapping of these and (as `#text`) of its own text.

    The key of a child is its name, and that of an attribute `@name`; repeated children are a list. Comments and
    processing instructions are left out, and so is white space between children.

    Raises:
        SourceRefused: it is nested too deep.
    """
    if len(element) == 0 and not element.keys():  # most elements: this avoids the steps below
        return element.text or ""
    # guard: levels of XML
    if depth > MAX_DEPTH:
        raise SourceRefused(f"the XML document is nested deeper than {MAX_DEPTH} levels.")
    found: dict[str, object] = {f"@{name!s}": str(value) for name, value in element.items()}
    texts, plain = [element.text or ""], not found
    for child in element:
        texts.append(child.tail or "")
        if isinstance(child.tag, str):
            _add(found, child.tag, nested(child, depth + 1))
    text = "".join(texts)
    if plain and not found:
        return text
    if text.strip(BLANK) or (text and all(name.startswith("@") for name in found)):
        found[TEXT] = text
    return found


def _add(found: dict[str, object], name: str, value: object) -> None:
    if name not in found:
        found[name] = value
        return
    earlier = found[name]
    # Only this function makes lists, so a list always holds the elements of that name so far.
    if isinstance(earlier, list):
        earlier.append(value)
    else:
        found[name] = [earlier, value]


def nested_record(element: etree._Element) -> dict[str, object]:
    """A record's element as a mapping, even if it contains only text."""
    value = nested(element)
    return value if isinstance(value, dict) else ({TEXT: value} if value else {})


def drop_empty(holder: etree._Element) -> bool:
    """Remove a list that is empty and has no attributes; returns whether it did."""
    above = holder.getparent()
    if above is None or len(holder) or holder.keys():
        return False
    above.remove(holder)
    return True


def plain_record(element: etree._Element) -> dict[str, object]:
    """A record's children as texts, by their tags. A child that is repeated or nested is given as its own XML.

    The key of an attribute is `@name`, and that of a child's attribute `child.@name`; text between the children is
    `#text`.
    """
    record: dict[str, object] = {f"@{name!s}": value for name, value in element.items()}
    texts = [element.text or ""]
    for child in element:
        texts.append(child.tail or "")
        if isinstance(child.tag, str):
            _add_plain(record, child)
    if text := "".join(texts).strip(BLANK):
        record[TEXT] = text
    return record


def _add_plain(record: dict[str, object], child: etree._Element) -> None:
    tag = str(child.tag)
    if tag in record or next(child.iterchildren(tag=etree.Element), None) is not None:
        record[tag] = etree.tostring(child, with_tail=False)
        return
    in_base64 = child.get(ENCODING_ATTRIBUTE) == BASE64
    record[tag] = _text(child, in_base64=in_base64)
    for name, value in child.items():
        if not (in_base64 and name == ENCODING_ATTRIBUTE):
            record[f"{tag}.@{name!s}"] = value


def _text(child: etree._Element, *, in_base64: bool) -> object:
    text = "".join(map(str, child.itertext()))
    if not in_base64:
        return text
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return text.encode()  # no column accepts bytes: the record is quarantined as it was sent


def local(name: object) -> str:
    """An element's or attribute's name without its namespace."""
    return str(name).rpartition("}")[2]


def drop_namespaces(elements: Iterable[etree._Element]) -> None:
    """Rename the elements, all elements below them and their attributes; not an attribute whose new name is taken."""
    for element in elements:
        for node in element.iter(etree.Element):
            if str(node.tag).startswith("{"):
                node.tag = local(node.tag)
            for name in node.keys():  # noqa: SIM118 - an element is not a mapping
                if str(name).startswith("{") and local(name) not in node.attrib:
                    node.set(local(name), node.attrib.pop(name))
