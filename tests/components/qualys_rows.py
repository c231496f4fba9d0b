"""The rows expected from Qualys documents, read with lxml's own paths from the columns that the YAML declares."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime

from lxml import etree

from flows_platform.columns.paths import RecordPath
from flows_platform.components.source import ColumnDeclaration
from flows_platform.components.validation import TableDeclaration
from flows_platform.domain.schema import ColumnType
from tests.fakes.qualys_objects import Host, Vuln

CHILD = "DETECTION_LIST/DETECTION/"

type Row = dict[str, object]


def detection_rows(source: TableDeclaration, hosts: Iterable[Host]) -> list[Row]:
    """One row for every detection, in order of the keys."""
    rows = [
        {column.name: _value(column, head, found) for column in source.columns if column.name != source.extra}
        for head, found in _pairs(hosts)
    ]
    return sorted(rows, key=lambda row: str(row["detection_key"]))


def vuln_rows(source: TableDeclaration, vulns: Iterable[Vuln]) -> list[Row]:
    """One row for every entry, in order of QID."""
    entries = [etree.fromstring(vuln.xml) for vuln in sorted(vulns)]
    return [
        {column.name: _value(column, entry, entry) for column in source.columns if column.name != source.extra}
        for entry in entries
    ]


def _pairs(hosts: Iterable[Host]) -> Iterator[tuple[etree._Element, etree._Element]]:
    for host in hosts:
        head = etree.fromstring(b"<HOST>%b</HOST>" % host.head)
        for detection in host.detections:
            yield head, etree.fromstring(detection.xml)


def _value(column: ColumnDeclaration, head: etree._Element, found: etree._Element) -> object:
    if column.join:
        joined = [_text(path.text, head, found) or "" for path in column.join]
        return "|".join(text.replace("\\", "\\\\").replace("|", "\\|") for text in joined)
    declared = [column.path] if isinstance(column.path, RecordPath) else column.path or []
    paths = [path.text for path in declared] or [column.name]
    if column.type is ColumnType.JSON:
        return _json(paths[0], head, found)
    texts = [_text(path, head, found) for path in paths]
    return next(
        (_typed(column.type, text) for text in texts if text or (text == "" and column.type is ColumnType.STRING)), None
    )


def _where(path: str, head: etree._Element, found: etree._Element) -> tuple[etree._Element, str]:
    inner = path.removesuffix("[]").replace(".", "/")
    return (found, inner.removeprefix(CHILD)) if inner.startswith(CHILD) else (head, inner)


def _text(path: str, head: etree._Element, found: etree._Element) -> str | None:
    node, inner = _where(path, head, found)
    return node.findtext(inner)


def _json(path: str, head: etree._Element, found: etree._Element) -> object:
    node, inner = _where(path, head, found)
    values = [_shape(child) for child in node.findall(inner)]
    if path.endswith("[]"):
        return values
    return (values[0] if len(values) == 1 else values) if values and values != [""] else None


def _shape(node: etree._Element) -> object:
    inner = list(node.iterchildren(tag=etree.Element))
    if not inner and not node.keys():
        return node.text or ""
    shape: dict[str, object] = {"@" + str(name): value for name, value in node.items()}
    for tag in dict.fromkeys(str(child.tag) for child in inner):
        several = [_shape(child) for child in inner if child.tag == tag]
        shape[tag] = several[0] if len(several) == 1 else several
    if not inner and node.text:
        shape["#text"] = node.text
    return shape


def _typed(kind: ColumnType, text: str) -> object:
    match kind:
        case ColumnType.INT64:
            return int(text)
        case ColumnType.TIMESTAMP:
            return datetime.fromisoformat(text)
        case ColumnType.BOOL:
            return text == "1"
    return text


def as_expected(source: TableDeclaration, rows: Iterable[Row]) -> list[Row]:
    """The warehouse's rows, with their JSON parsed and without the column of unknown fields."""
    kinds = {column.name: column.type for column in source.columns if column.name != source.extra}
    return [
        {
            name: json.loads(str(row[name])) if kind is ColumnType.JSON and row[name] is not None else row[name]
            for name, kind in kinds.items()
        }
        for row in rows
    ]
