"""The value that a page's last record continues from, also where that record is a reject."""

from collections.abc import Mapping
from itertools import takewhile

from flows_platform.fetch.windowed_api import WindowedApi
from flows_platform.wire.cast_values import Misfit, cast_value
from flows_platform.wire.casting import Casted
from flows_platform.wire.decode.record_line import read_record
from flows_platform.wire.raw_records import Records, Unreadable


def last_value(api: WindowedApi, column: str, casted: Casted, sent: Records, first: int) -> object:
    """The column's value of the slice's last record that has one; None where none has.

    Where rows were mapped, `sent` has what each was made of, from position `first` on.
    """
    last = casted.positions[-1] if casted.batch.num_rows else 0
    behind = sorted(casted.rejects, key=lambda each: each.position, reverse=True)
    for reject in takewhile(lambda each: each.position > last, behind):
        part = sent[reject.position - first] if sent else read_record(reject.raw)
        if (value := _value(api, column, part)) is not None:
            return value
    return casted.batch.column(column)[-1].as_py() if casted.batch.num_rows else None


def _value(api: WindowedApi, column: str, part: Mapping[str, object] | Unreadable) -> object:
    row = api.mapping.row(part) if api.mapping else part
    if isinstance(row, Unreadable):
        return None
    try:
        return cast_value(api.schema.column(column), row.get(column))
    except Misfit:
        return None
