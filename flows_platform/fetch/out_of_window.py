"""Records outside the requested range. Those of a neighbouring window are skipped, the others become rejects.

A record belongs to a neighbour if it is at most as far outside as the request had to reach: its own window gets it too.
"""

import pyarrow as pa
import pyarrow.compute as pc

from flows_platform.columns.batches import all_inside, bounds_in
from flows_platform.columns.batches import inside as inside_of
from flows_platform.columns.casting import Casted
from flows_platform.columns.raw_records import raw_record
from flows_platform.domain.rejects import RejectedRecord
from flows_platform.domain.schema import TableSchema
from flows_platform.domain.windows import Window
from flows_platform.fetch.time_parameters import NOWHERE, Beyond


def inside(casted: Casted, schema: TableSchema, window: Window, beyond: Beyond = NOWHERE) -> Casted:
    """The slice without the records outside `window`: those up to `beyond` it are neighbours, others rejects."""
    # guard: records lie in their window
    if all_inside(casted.batch, schema, window):
        return casted
    inside = inside_of(casted.batch, schema, window)
    around = beyond.around(window, schema)
    near = inside_of(casted.batch, schema, around) if around else pa.array([True] * casted.batch.num_rows)
    kept, rejects = [], list(casted.rejects)
    rows = zip(casted.positions, inside.to_pylist(), near.to_pylist(), range(len(inside)), strict=True)
    for position, good, neighbour, row in rows:
        if good:
            kept.append(position)
        elif not neighbour:
            record = casted.batch.slice(row, 1).to_pylist()[0]
            rejects.append(_outside(record, schema, window, position))
    neighbours = casted.batch.filter(pc.and_(near, pc.invert(inside)))
    return Casted(casted.batch.filter(inside), kept, rejects, neighbours)


def _outside(record: dict[str, object], schema: TableSchema, window: Window, position: int) -> RejectedRecord:
    first, end = bounds_in(schema, window)
    reason = f"{schema.time} {record[schema.time]} is outside the window [{first}, {end})"
    return RejectedRecord(position, reason, raw_record(record))
