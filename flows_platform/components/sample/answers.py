"""A sample answer, read as the platform would read it: its records, and what surrounds them."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from lxml import etree

from flows_platform.columns.paths import RecordPath, quoted
from flows_platform.domain.errors import ConfigurationError
from flows_platform.formats.xml.elements import drop_namespaces, local, nested, nested_record

DELIMITERS = ",;\t|"
SUFFIXES = {
    ".json": "json",
    ".xml": "xml",
    ".csv": "csv",
    ".tsv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
}


@dataclass(frozen=True, slots=True)
class SampleAnswer:
    """The records of an answer, what surrounds them, and the keys of `api` that lead to them."""

    format: str
    records: list[Mapping[str, Any]]
    envelope: Mapping[str, Any] = field(default_factory=dict)
    keys: Mapping[str, object] = field(default_factory=dict)

    @property
    def as_text(self) -> bool:
        """Whether the format has texts alone, so that numbers are texts too."""
        return self.format in {"csv", "xml"}


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
        ConfigurationError: the file cannot be read, or has no records.
    """
    if path.suffix not in SUFFIXES:
        raise ConfigurationError(
            f"{path}: the suffix {path.suffix!r} is not of a known format.", remedy=f"One of {', '.join(SUFFIXES)}."
        )
    try:
        answer = READERS[SUFFIXES[path.suffix]](path.read_bytes())
    except (OSError, ValueError, etree.XMLSyntaxError, csv.Error) as error:
        raise ConfigurationError(f"{path} cannot be read as {SUFFIXES[path.suffix]}: {error}.") from error
    if not answer.records:
        raise ConfigurationError(
            f"{path} has no records.", remedy="Give an answer that holds some, of a range with several."
        )
    return answer


def _json(body: bytes) -> SampleAnswer:
    try:
        document = _parsed(body)
    except json.JSONDecodeError:
        return _ndjson(body)  # lines of JSON under the other suffix
    if isinstance(document, list):
        return SampleAnswer("json", _objects(document), {}, {"records": ""})
    arrays = sorted(_arrays(document, ()), key=lambda found: (-len(found[1]), len(found[0])))
    if not arrays:
        return SampleAnswer("json", [])
    names, records = arrays[0]
    return SampleAnswer(
        "json", records, _without(document, names), {"records": ".".join(quoted(name) for name in names)}
    )


def _parsed(text: bytes | str) -> Any:
    return json.loads(text, parse_float=Decimal)


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
    lines = body.decode("utf-8-sig").splitlines()
    records = [_parsed(line) for line in lines if line.strip()]
    return SampleAnswer("ndjson", _objects(records))


def _csv(body: bytes) -> SampleAnswer:
    lines = body.decode("utf-8-sig").splitlines(keepends=True)
    plain = [line for line in lines if not line.startswith("#")]
    header = next(iter(plain), "")
    delimiter = max(DELIMITERS, key=header.count)
    rows = csv.DictReader(io.StringIO("".join(plain)), delimiter=delimiter, strict=True)
    records = [{name: value for name, value in row.items() if isinstance(name, str)} for row in rows]
    dialect = {"delimiter": delimiter} if delimiter != "," else {}
    dialect |= {"comment": "#"} if len(plain) < len(lines) else {}
    return SampleAnswer("csv", list(records), {}, {"csv": dialect} if dialect else {})


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
        return SampleAnswer("xml", [])
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
    several = [path for path, found in counted.items() if len(found) > 1 and any(len(one) for one in found)]
    nested_ones = [path for path, found in counted.items() if any(len(one) > 1 for one in found)]
    candidates = several or nested_ones
    shortest: tuple[str, ...] = min(candidates, key=len, default=())
    return list(shortest)


READERS = {"json": _json, "ndjson": _ndjson, "csv": _csv, "xml": _xml}
