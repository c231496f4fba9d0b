"""The first rows of an answer as a table of texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from flows_platform.domain.decimals import plain
from flows_platform.domain.schema import ColumnType
from flows_platform.reports.declaration import ReportColumn
from flows_platform.reports.values import as_text

if TYPE_CHECKING:
    import pyarrow as pa

TEXT = 500  # most characters of a value
ROWS = 500  # most rows of a table, some 100 kB of a page
NUMBERS = {ColumnType.INT64, ColumnType.FLOAT64, ColumnType.NUMERIC}
TIMES = {ColumnType.DATE, ColumnType.TIMESTAMP}


class Head(NamedTuple):
    """The head of a column; its kind is `number`, `time` or `value`."""

    name: str
    description: str
    kind: str


@dataclass(frozen=True, slots=True)
class Table:
    """The first rows of an answer.

    Args:
        heads: The heads of the columns.
        rows: The values as texts; None for NULL.
        count: Number of rows of the whole answer.
    """

    heads: Sequence[Head]
    rows: Sequence[Sequence[str | None]]
    count: int


def table_of_texts(columns: Sequence[ReportColumn], table: "pa.Table") -> Table:
    """The first rows of an answer. Numbers and times are written exactly, as in the other formats."""
    heads = [Head(column.name, column.description, _kind(column.type)) for column in columns]
    first = zip(columns, table.slice(0, ROWS).columns, strict=True)
    shown = [[_text(value, column.decimals or 0) for value in values.to_pylist()] for column, values in first]
    return Table(heads, list(zip(*shown, strict=True)), table.num_rows)


def _kind(kind: ColumnType) -> str:
    return "number" if kind in NUMBERS else "time" if kind in TIMES else "value"


def _text(value: Any, decimals: int) -> str | None:
    if value is None:
        return None
    text = plain(value, decimals) if isinstance(value, Decimal) else as_text(value)
    return text if len(text) <= TEXT else f"{text[:TEXT]}… ({len(text):,} characters)"
