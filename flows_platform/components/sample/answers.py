"""A sample answer, read as the platform would read it: its records, and what surrounds them."""

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from lxml import etree

from flows_platform.columns.paths import RecordPath, joined, quoted
from flows_platform.components.sample.answer import SampleAnswer
from flows_platform.components.sample.csv_answer import read_csv, read_tsv
from flows_platform.components.sample.json_shapes import shaped_answer, table_answer
from flows_platform.components.sample.proof import unreadable_records
from flows_platform.domain.errors import ConfigurationError
from flows_platform.formats.xml.elements import drop_namespaces, local, nested, nested_record

AS_JSON = {"content_types": ["application/json"]}  # for lines of JSON
LARGEST = 1 << 26  # bytes of a sample
_HTML = re.compile(rb"\s*<(?:!doctype\s+html|html)\b", re.IGNORECASE)
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}|\b1[0-9]{9}(?:[0-9]{3}){0,3}\b")
SUFFIXES = {
    ".json": "json",
    ".xml": "xml",
    ".csv": "csv",
    ".tsv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
}


def path_of(text: str) -> RecordPath | None:
    """The path, or None where a name in it cannot be written as one."""
    try:
        text.encode()
        return RecordPath.parse(text)
    except (ConfigurationError, UnicodeEncodeError):
        return None


def read_sample(path: Path) -> SampleAnswer:
    """The answer in a file; its format is that of the name's suffix.

    Raises:
        ConfigurationError: the file cannot be read, or has no records that a run could read.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigurationError(
            f"{path}: the suffix {path.suffix!r} is not of a known format.", remedy=f"One of {', '.join(SUFFIXES)}."
        )
    try:
        body = _body(path)
        answer = READERS[suffix](body)
    except (OSError, ValueError, etree.XMLSyntaxError, csv.Error, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(
            f"{path} cannot be read as {SUFFIXES[suffix]}: {why}.", remedy="Give an answer as the API sent it."
        ) from error
    if not answer.records:
        raise ConfigurationError(
            f"{path} has no records{answer.instead}.", remedy="Give an answer that holds some, of a range with several."
        )
    return replace(answer, unreadable=unreadable_records(path, body, answer))


def _body(path: Path) -> bytes:
    """The bytes of a sample.

    Raises:
        ConfigurationError: it is too large, or a page for people.
        ValueError: it is empty.
    """
    if (size := path.stat().st_size) > LARGEST:
        raise ConfigurationError(f"{path} has {size:,} bytes; a sample has at most {LARGEST:,}.", remedy="Shorten it.")
    body = path.read_bytes()
    if not body.strip():
        raise ValueError("it is empty")
    if _HTML.match(body):
        raise ConfigurationError(
            f"{path} is a page in HTML: most likely one for people, or a login.",
            remedy="Check the URL that it was fetched from, and the credentials.",
        )
    return body


def _json(body: bytes) -> SampleAnswer:
    try:
        document = _parsed(body)
    except json.JSONDecodeError:
        try:
            return replace(_ndjson(body), keys=AS_JSON, notes={"content_types": "guess: the suffix was .json"})
        except ValueError:
            pass
        raise
    if isinstance(document, list) and (objects := _objects(document)):
        return SampleAnswer("json", objects, {}, {"records": ""})
    arrays = sorted(_arrays(document, ()), key=_likely)
    if arrays and _likely(arrays[0])[0] and (table := table_answer(document, titled=True)):
        return table  # the objects without times describe the columns
    if not arrays:
        return shaped_answer(document) or SampleAnswer("json", [], instead=_instead(document))
    (names, records), *others = arrays
    notes = {"records": f"guess: or {', '.join(joined(other) for other, _ in others[:5])}"} if others else {}
    return SampleAnswer("json", records, _without(document, names), {"records": joined(names)}, instead="", notes=notes)


def _likely(found: tuple[tuple[str, ...], list[Mapping[str, Any]]]) -> tuple[bool, int, int]:
    """First the arrays whose first record has a time, then the longest, then those that are less deep."""
    names, records = found
    return _TIME.search(json.dumps(records[0], default=str)) is None, -len(records), len(names)


def _instead(document: object) -> str:
    """What a document has instead of an array of objects, for a message."""
    if isinstance(document, dict):
        members = ", ".join(map(str, list(document)[:8])) or "nothing"
        return f", but an object with {members}, and no array of objects; lines of JSON have the suffix .ndjson"
    if isinstance(document, list):
        return f", but an array of {len(document):,} elements that are not objects"
    return f", but {str(document)[:40]}"


def _parsed(text: bytes | str) -> Any:
    return json.loads(text, parse_float=Decimal, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _objects(values: list[Any]) -> list[Mapping[str, Any]]:
    return [value for value in values if isinstance(value, dict)]


def _arrays(value: object, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], list[Mapping[str, Any]]]]:
    """The arrays of objects that objects alone lead to."""
    for name, inner in value.items() if isinstance(value, dict) else ():
        if path_of(quoted(name)) is None:
            continue
        if isinstance(inner, list) and (objects := _objects(inner)):
            yield (*names, name), objects
        else:
            yield from _arrays(inner, (*names, name))


def _without(document: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    name, *rest = names
    inner = {name: _without(document[name], tuple(rest))} if rest else {}
    return {key: value for key, value in document.items() if key != name} | inner


def _ndjson(body: bytes) -> SampleAnswer:
    records = []
    for number, line in enumerate(body.decode("utf-8-sig").split("\n"), start=1):
        try:
            records += [_parsed(line)] if line.strip() else []
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
    instead = "; a JSON document has the suffix .json" if records else ""
    return SampleAnswer("ndjson", _objects(records), instead=instead)


def _xml(body: bytes) -> SampleAnswer:
    root = etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True))
    keys: dict[str, object] = {}
    if any(str(element.tag).startswith("{") for element in root.iter(etree.Element)):
        drop_namespaces([root])
        keys["namespaces"] = "drop"
    if b"<!DOCTYPE" in body:
        keys["doctype"] = True
    path = _record_path(root)
    if not path:
        return SampleAnswer("xml", [], instead=", but one element without elements that are records")
    elements = root.findall("/".join(path))
    records = [nested_record(element) for element in elements]
    for element in elements:
        above = element.getparent()
        if above is not None:
            above.remove(element)
    around = nested(root)
    keys |= {"records": local(root.tag) if "namespaces" in keys else str(root.tag), "record": "/".join(path)}
    return SampleAnswer("xml", list(records), around if isinstance(around, dict) else {}, keys)


def _record_path(root: etree._Element) -> list[str]:
    """The names that lead to the records: the nearest elements that repeat, or the nearest with several children."""
    counted: dict[tuple[str, ...], list[etree._Element]] = {}
    for element in root.iterdescendants(etree.Element):
        above = [str(holder.tag) for holder in element.iterancestors()][-2::-1]
        counted.setdefault((*above, str(element.tag)), []).append(element)
    several = [
        path for path, found in counted.items() if len(found) > 1 and any(len(one) or one.attrib for one in found)
    ]
    nested_ones = [path for path, found in counted.items() if any(len(one) + len(one.attrib) > 1 for one in found)]
    candidates = several or nested_ones
    shortest: tuple[str, ...] = min(candidates, key=len, default=())
    return list(shortest)


READERS: dict[str, Callable[[bytes], SampleAnswer]] = {
    ".json": _json,
    ".xml": _xml,
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".ndjson": _ndjson,
    ".jsonl": _ndjson,
}
