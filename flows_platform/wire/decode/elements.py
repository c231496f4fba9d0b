"""XML elements in the shape of decoded JSON: children by name, repeated ones as a list, attributes as `@name`."""

from lxml import etree


def nested(element: etree._Element) -> object:
    """An element's text, or a mapping of its attributes, its children and (as `#text`) its own text, where it has any.

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
