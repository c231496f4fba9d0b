"""Rows of CVEs as documents: JSON with instants in UTC, CSV as RFC 4180 defines it. Does not know databases or HTTP."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from io import StringIO
from typing import TYPE_CHECKING, Any

from flows_platform.domain.schema import ColumnType
from flows_platform.sources.nvd_cves.schema import CHILDREN, KEY, NOTICE, SqlTable

if TYPE_CHECKING:
    from flows_platform.sources.nvd_cves.queries import CveDetail

type Row = dict[str, Any]

DOCUMENT = "document"
# Columns that only the database uses.
INNER = {KEY, "revision", DOCUMENT}
SCORE_DIGITS = 2  # of a mean


def child_name(table: SqlTable) -> str:
    """What a child table is called in a CVE's document."""
    return table.name.removeprefix("cve_")


def summary_rows(rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Rows of a list, ready to be encoded."""
    return [_plain(row) for row in rows]


def totals_rows(rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Rows of totals; means rounded to two digits, as averaging leaves noise in the last ones."""
    return [
        {name: round(value, SCORE_DIGITS) if isinstance(value, float) else value for name, value in row.items()}
        for row in rows
    ]


def json_document(document: Mapping[str, Any]) -> bytes:
    """The document as JSON."""
    return json.dumps(document).encode()


def detail_document(detail: "CveDetail") -> bytes:
    """A CVE with the rows of its child tables and, as the last member, NVD's own document unchanged."""
    cve = {name: value for name, value in _plain(detail.cve).items() if name not in INNER} | _plain(detail.summary)
    children = {child_name(table): _child(table, detail.children[table.name]) for table in CHILDREN}
    head = json.dumps({"notice": NOTICE, "cve": cve | children}).removesuffix("}}")
    return f'{head}, "{DOCUMENT}": {detail.cve[DOCUMENT]}}}}}'.encode()


def csv_document(names: Sequence[str], rows: Iterable[Row]) -> bytes:
    """A header line and a line for every row, ended by CRLF. NULL is an empty field, an empty text is `""`."""
    out = StringIO(newline="")
    # Only texts are quoted: neither the header nor numbers.
    csv.writer(out).writerow(names)
    csv.writer(out, quoting=csv.QUOTE_STRINGS).writerows([row[name] for name in names] for row in rows)
    return out.getvalue().encode()


def _child(table: SqlTable, rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    lists = [column.name for column in table.columns if column.type is ColumnType.JSON]
    return [_plain(row) | {name: json.loads(row[name]) for name in lists} for row in rows]


def _plain(row: Mapping[str, Any]) -> Row:
    return {name: _instant(value) if isinstance(value, datetime) else value for name, value in row.items()}


def _instant(value: datetime) -> str:
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
