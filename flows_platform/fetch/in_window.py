"""Records that the source sent although they lie outside the window that was asked for: set aside, with the reason."""

from flows_platform.domain.rejects import RejectedRecord
from flows_platform.domain.schema import TableSchema
from flows_platform.domain.windows import Window
from flows_platform.wire.casting import Casted
from flows_platform.wire.raw_records import raw_record
from flows_platform.wire.time_column import all_inside, bounds_in
from flows_platform.wire.time_column import inside as inside_of


def inside(casted: Casted, schema: TableSchema, window: Window) -> Casted:
    """The slice without the records that lie outside the window; those become rejects."""
    if all_inside(casted.batch, schema, window):
        return casted
    inside = inside_of(casted.batch, schema, window)
    kept, rejects = [], list(casted.rejects)
    for position, good, record in zip(casted.positions, inside.to_pylist(), casted.batch.to_pylist(), strict=True):
        if good:
            kept.append(position)
        else:
            rejects.append(_outside(record, schema, window, position))
    return Casted(casted.batch.filter(inside), kept, rejects)


def _outside(record: dict[str, object], schema: TableSchema, window: Window, position: int) -> RejectedRecord:
    first, end = bounds_in(schema, window)
    reason = f"{schema.time} {record[schema.time]} lies outside the window [{first}, {end})"
    return RejectedRecord(position, reason, raw_record(record))
