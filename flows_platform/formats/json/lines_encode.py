"""Writes NDJSON: one JSON object per line, with keys in the order of the columns. A JSON document has the same records.

A footer, if requested, is a last line `{"end":{"count":N}}`.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from json.encoder import encode_basestring as quote  # escapes only quote, backslash and controls: UTF-8 stays UTF-8

from flows_platform.domain.schema import ColumnType, TableSchema
from flows_platform.domain.verification import Value
from flows_platform.formats.protocol.encoder import Footer, Row
from flows_platform.formats.protocol.names import COUNT, DIGEST, END
from flows_platform.formats.protocol.sql_text import concat, count_of, count_up_to, is_utf8, octets


def _on_one_line(value: Value) -> str:
    # JSON escapes line ends inside its texts, so a raw one is white space between tokens.
    return str(value).translate({ord("\n"): " ", ord("\r"): " "})


RENDER: dict[ColumnType, Callable[[Value], str]] = {
    ColumnType.INT64: str,
    ColumnType.STRING: quote,  # type: ignore[dict-item]  # it only gets texts: rows were checked
    ColumnType.TIMESTAMP: quote,  # type: ignore[dict-item]
    ColumnType.FLOAT64: repr,
    ColumnType.BOOL: lambda value: "true" if value else "false",
    ColumnType.JSON: _on_one_line,
    ColumnType.DATE: quote,  # type: ignore[dict-item]
    ColumnType.NUMERIC: str,  # a number, with every digit
}
QUOTE_MARKS = {
    ColumnType.INT64: "",
    ColumnType.STRING: '"',
    ColumnType.TIMESTAMP: '"',
    ColumnType.FLOAT64: "",
    ColumnType.BOOL: "",
    ColumnType.JSON: "",
    ColumnType.DATE: '"',
    ColumnType.NUMERIC: "",
}


class NdjsonEncoder:
    """Writes one record per line; every line ends with a line feed."""

    record_separator = b""
    lead = b""
    footer_belongs = False
    chunk_rows = 3072

    def __init__(self, schema: TableSchema) -> None:
        self._schema = schema
        self._keys = [f"{quote(name)}:" for name in schema.names]
        self._renders = [RENDER[column.type] for column in schema.columns]
        self._quotes = self._record(["" for _ in schema.columns]).count('"')

    @cached_property
    def record_sql(self) -> str:
        return self.sql("", "\n")

    def sql(self, start: str, end: str) -> str:
        """A SQL expression for one record between `start` and `end`."""
        pieces: list[tuple[str, str]] = []
        before = f"{start}{{"
        for key, column in zip(self._keys, self._schema.columns, strict=True):
            mark = QUOTE_MARKS[column.type]
            pieces.append((f"{before}{key}{mark}", column.name))
            before = f"{mark},"
        return concat([*pieces, (f"{before[:-1]}}}{end}", "")])

    def prologue(self) -> bytes:
        return b""

    def encode(self, rows: Sequence[Row]) -> bytes:
        return "".join([f"{line}\n" for line in self.lines(rows)]).encode()

    def assembled(self, records: bytes, rows: int) -> bytes | None:
        return records if self.is_plain(records, rows) else None

    def is_plain(self, records: bytes, rows: int) -> bool:
        """Whether the only quotes and control characters are those between the values, and the text is UTF-8.

        A record has one line end. Only space and ! are between the controls and the quote, so one count covers all.
        """
        if b"\\" in records or not is_utf8(records):
            return False
        data = octets(records)
        others = count_up_to(data, '"') - rows * (self._quotes + 1)
        return others == 0 or others == count_of(data, " ") + count_of(data, "!")

    def footer(self, footer: Footer) -> bytes:
        return f"{{{end_member(footer)}}}\n".encode()

    def epilogue(self) -> bytes:
        return b""

    def _record(self, row: Row) -> str:
        members = [
            key + ("null" if value is None else render(value))
            for key, render, value in zip(self._keys, self._renders, row, strict=True)
        ]
        return f"{{{','.join(members)}}}"

    def lines(self, rows: Sequence[Row]) -> list[str]:
        """The rows as JSON objects."""
        return [self._record(row) for row in rows]


def end_member(footer: Footer) -> str:
    """The footer as a member of a JSON object."""
    digest = "" if footer.digest is None else f',"{DIGEST}":"{footer.digest}"'
    return f'"{END}":{{"{COUNT}":{footer.count}{digest}}}'
