"""The value that the next page continues from, even if a page's last record is a reject; and the order of pages."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import takewhile

import pyarrow as pa
import pyarrow.compute as pc

from flows_platform.columns.cast_values import Misfit, cast_value
from flows_platform.columns.casting import Casted
from flows_platform.columns.raw_records import Records, Unreadable
from flows_platform.domain.errors import SourceRefused
from flows_platform.domain.schema import ColumnType
from flows_platform.fetch.api import WindowedApi
from flows_platform.formats.json.record_line import read_record


def last_value(api: WindowedApi, column: str, casted: Casted, sent: Records, first: int) -> object:
    """The column's value in the last record of the slice that has one; None if no record has.

    For mapped rows, `sent` holds the objects that they were made from; the first one has position `first`.
    """
    last = casted.positions[-1] if casted.batch.num_rows else 0
    behind = sorted(casted.rejects, key=lambda reject: reject.position, reverse=True)
    for reject in takewhile(lambda reject: reject.position > last, behind):
        source = sent[reject.position - first] if sent else read_record(reject.raw)
        if (value := _value(api, column, source)) is not None:
            return value
    return casted.batch.column(column)[-1].as_py() if casted.batch.num_rows else None


def _value(api: WindowedApi, column: str, source: Mapping[str, object] | Unreadable) -> object:
    row = api.mapping.row(source) if api.mapping else source
    if isinstance(row, Unreadable):
        return None
    try:
        return cast_value(api.schema.column(column), row.get(column))
    except Misfit:
        return None


# An API may sort texts in its own way.
ORDERED = {ColumnType.INT64, ColumnType.NUMERIC, ColumnType.DATE, ColumnType.TIMESTAMP}

type Value = int | Decimal | date  # of one column: all are the same


@dataclass(slots=True)
class Order:
    """Checks that values rise, or fall, from page to page. Otherwise a page after the last record would leave some out.

    `add` takes the values of a page's rows, `close` the value that the next page continues from.
    """

    column: str
    _page: list[Value] = field(default_factory=list)  # the least and the greatest value of every slice of the page
    _before: list[Value] = field(default_factory=list)  # the last value of the page before

    def add(self, values: pa.Array) -> None:
        """Note a slice's values."""
        ends = pc.min_max(values).as_py()
        self._page += [value for value in (ends["min"], ends["max"]) if value is not None]

    def close(self, last: Value) -> None:
        """Check the page, and start another.

        Raises:
            SourceRefused: its records have no order, or go back behind the page before.
        """
        page, before = self._page or [last], self._before
        least, most = min([*page, last]), max([*page, last])
        rises = last == most and min([*before, least]) == (before or [least])[0]
        falls = last == least and max([*before, most]) == (before or [most])[0]
        # guard: pages continue in one direction
        if not (rises or falls):
            behind = f", behind {before[0]} of the page before" if before else ""
            raise SourceRefused(
                f"the records are not in the order of {self.column}: a page has values from {least} to {most}, and "
                f"{last} as its last{behind}. A page that continues from there would leave records out.",
                remedy=f"Ask the API to sort by {self.column}, in the direction in which the paging's parameter leads.",
            )
        self._before, self._page = [last], []
