"""Where a range ends that its request does not bound: at the first record past it, if records come in order."""

from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from flows_platform.columns.batches import Time, bounds_in
from flows_platform.domain.errors import SourceRefused
from flows_platform.domain.schema import TableSchema
from flows_platform.domain.windows import Window


@dataclass(slots=True)
class PastWindow:
    """Finds the first record past `window`, and checks that times rise. `rose` says that they have.

    Times are compared in whole seconds: an API may sort by seconds and send finer times, and windows end on seconds.
    """

    schema: TableSchema
    window: Window
    first: Time | None = None  # the time of the first record past the window
    rose: bool = False
    _latest: list[Time] = field(default_factory=list)  # of the records so far; empty before the first

    def add(self, batch: pa.RecordBatch) -> None:
        """Note the times of a slice, before records outside the window are removed.

        Raises:
            SourceRefused: a record is earlier than one before it.
        """
        times = batch.column(self.schema.time)
        if not len(times):
            return
        known = pa.concat_arrays([pa.array(self._latest, times.type), times])
        seconds = pc.floor_temporal(known, unit="second") if pa.types.is_timestamp(times.type) else known
        falls = pc.less(seconds[1:], seconds[:-1])
        # guard: records up to the window's end come in order
        if pc.any(falls).as_py():
            at = pc.index(falls, value=True).as_py()
            raise SourceRefused(
                f"the records are not in the order of {self.schema.time}: {known[at + 1].as_py()} comes after "
                f"{known[at].as_py()}. Paging that stops at the first record past the window would leave records out.",
                remedy=f"Ask the API to sort by {self.schema.time}, the earliest first, or declare `stop: never`.",
            )
        self.rose = self.rose or bool(pc.any(pc.greater(seconds[1:], seconds[:-1])).as_py())
        _, end = bounds_in(self.schema, self.window)
        past = times.filter(pc.greater_equal(times, pa.scalar(end, times.type)))
        if self.first is None and len(past):
            self.first = past[0].as_py()
        self._latest = [times[-1].as_py()]
