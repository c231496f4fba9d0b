"""What a load learns about the rows as they pass: bounds and order. Refuses repeated ids."""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from flows_platform.domain.errors import InputError
from flows_platform.domain.rejects import RejectedRecord
from flows_platform.domain.schema import TableSchema
from flows_platform.flow_database.bulk import BulkConnection
from flows_platform.flow_database.clean_lines import ParsedBlock

type Integers = npt.NDArray[np.int64]


class LoadSummary:
    """The rows so far; the load adds every block before it inserts its rows.

    `time_sorted` says that time never falls as id grows. It is False without a check if ids are out of order.
    """

    def __init__(self, schema: TableSchema, clean: Path, connection: BulkConnection) -> None:
        self.rows = self.rejected = 0
        self.first_reject: RejectedRecord | None = None  # at its line of the clean file
        self.first_time: int | None = None
        self.last_time: int | None = None
        self.time_sorted = True
        self._first_id = self._last_id = 0
        self._previous_time = 0
        self._schema, self._clean, self._connection = schema, clean, connection

    @property
    def lines(self) -> int:
        return self.rows + self.rejected

    @property
    def ids_contiguous(self) -> bool:
        return self.rows == 0 or self._last_id - self._first_id + 1 == self.rows

    def add(self, block: ParsedBlock) -> None:
        """Add a block.

        Raises:
            InputError: an id is repeated.
        """
        if block.rows.num_rows:
            ids = _integers(block.rows, self._schema.key)
            ascending = _rises(ids) and (self.rows == 0 or int(ids[0]) > self._last_id)
            if not ascending:
                self._refuse_repeated(ids, block)
            self._note_times(_integers(block.rows, self._schema.time), ascending=ascending)
            first, last = int(ids.min()), int(ids.max())
            self._first_id = min(self._first_id, first) if self.rows else first
            self._last_id = max(self._last_id, last) if self.rows else last
        if block.rejects and self.first_reject is None:
            reject = block.rejects[0]
            self.first_reject = RejectedRecord(self.lines + reject.position, reject.reason, reject.raw)
        self.rows += block.rows.num_rows
        self.rejected += len(block.rejects)

    def _note_times(self, times: Integers, *, ascending: bool) -> None:
        first, last = int(times.min()), int(times.max())
        follows = self.first_time is None or int(times[0]) >= self._previous_time
        self.time_sorted &= ascending and follows and bool((times[1:] >= times[:-1]).all())
        self.first_time = first if self.first_time is None else min(self.first_time, first)
        self.last_time = last if self.last_time is None else max(self.last_time, last)
        self._previous_time = int(times[-1])

    def _refuse_repeated(self, ids: Integers, block: ParsedBlock) -> None:
        key, table = self._schema.key, self._schema.name
        sql = f"SELECT {key} FROM {table} WHERE {key} IN (SELECT value FROM json_each(?))"
        rows = self._connection.rows(sql, pa.record_batch({"ids": [json.dumps(ids.tolist())]}))
        seen = {row[key] for row in rows}
        for index, value in enumerate(ids.tolist()):
            if value in seen:
                raise InputError(
                    f"{self._clean} line {self.lines + block.line_of_row(index):,} repeats {key} {value}.",
                    remedy="Make the clean file again: `flows clean` numbers the rows.",
                )
            seen.add(value)


def _rises(values: Integers) -> bool:
    return bool((values[1:] > values[:-1]).all())


def _integers(rows: pa.RecordBatch, name: str) -> Integers:
    column = rows.column(name)
    # Not to_numpy(): it imports pandas if that is installed.
    return np.frombuffer(column.buffers()[1], np.int64, len(column), column.offset * 8)
