"""XML elements as records: plain, or in the shape of decoded JSON with all that they nest."""

import base64
import binascii

from lxml import etree

from flows_platform.wire.formats import BASE64, ENCODING_ATTRIBUTE


def nested(element: etree._Element) -> object:
    """An element's text, or a mapping of its attributes, its children and (as `#text`) its own text, where it has any.

    Children lie under their names, repeated ones as a list, attributes under `@name`.
    Comments and processing instructions are left out; white space between children is no text.
    """
    if len(element) == 0 and not element.keys():  # most elements: spares the steps below
        return element.text or ""
    found: dict[str, object] = {f"@{name!s}": str(value) for name, value in element.items()}
    texts, plain = [element.text or ""], not found
    for child in element:
        texts.append(child.tail or "")
        if isinstance(child.tag, str):
            _add(found, child.tag, nested(child))
    text = "".join(texts)
    if plain and not found:
        return text
    if text.strip() or (text and all(name.startswith("@") for name in found)):
        found["#text"] = text
    return found


def _add(found: dict[str, object], name: str, value: object) -> None:
    if name not in found:
        found[name] = value
        return
    there = found[name]
    # Only this function makes lists, so a list is always the elements of that name so far.
    if isinstance(there, list):
        there.append(value)
    else:
        found[name] = [there, value]


def nested_record(element: etree._Element) -> dict[str, object]:
    """A record's element as a mapping, also where it holds nothing but text."""
    value = nested(element)
    return value if isinstance(value, dict) else ({"#text": value} if value else {})


def drop_empty(holder: etree._Element) -> bool:
    """Removes a list that holds nothing more, and says nothing itself."""
    above = holder.getparent()
    if above is None or len(holder) or holder.keys():
        return False
    above.remove(holder)
    return True


def plain_record(element: etree._Element) -> dict[str, object]:
    """A record's children by their tags, as texts; one that repeats or nests is given as its own XML."""
    record: dict[str, object] = {}
    for child in element.iterchildren(tag=etree.Element):
        tag = str(child.tag)
        nested = len(child) != 0 and next(child.iterchildren(tag=etree.Element), None) is not None
        value: object = etree.tostring(child, with_tail=False) if nested or tag in record else _text(child)
        record[tag] = value
    return record


def _text(child: etree._Element) -> object:
    text = "".join(map(str, child.itertext()))
    if child.get(ENCODING_ATTRIBUTE) != BASE64:
        return text
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return text.encode()  # bytes fit no column: the record is quarantined with what was sent
