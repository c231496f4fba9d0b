"""One Parquet file from a stream of batches, in constant memory. Atomicity is `files.atomic_path`'s."""

from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flows_platform.domain.errors import SourceRefused
from flows_platform.domain.schema import TableSchema
from flows_platform.domain.verification import RowDigest
from flows_platform.wire.arrow_schema import arrow_schema
from flows_platform.wire.row_digest import batch_digest

GROUP_ROWS = 1 << 16  # rows a row group: 5 MB of flows; the most that is held


@dataclass(slots=True)
class ParquetSink:
    """Writes batches of `schema` to `path`; counts rows, the time range, and whether keys only ever rise."""

    path: Path
    schema: TableSchema
    rows: int = 0
    first_time: int | None = None
    last_time: int | None = None
    _keys_rise: bool = True
    _last_key: int | None = None
    _held: list[pa.RecordBatch] = field(default_factory=list)
    _held_rows: int = 0
    _writer: pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        # zstd 1 without dictionaries: as fast as snappy and 40 % smaller on flows.
        self._writer = pq.ParquetWriter(
            self.path, arrow_schema(self.schema), compression="zstd", compression_level=1, use_dictionary=False
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer:
            if kind is None:
                self._flush()
            self._writer.close()
            self._writer = None

    def write(self, batch: pa.RecordBatch) -> None:
        """Add a batch; it reaches the file with its row group."""
        if not batch.num_rows:
            return
        self._observe(batch)
        self._held.append(batch)
        self._held_rows += batch.num_rows
        if self._held_rows >= GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._held and self._writer:
            self._writer.write_table(pa.Table.from_batches(self._held), row_group_size=GROUP_ROWS)
            self._held, self._held_rows = [], 0

    def _observe(self, batch: pa.RecordBatch) -> None:
        self.rows += batch.num_rows
        times = pc.min_max(batch.column(self.schema.time)).as_py()
        self.first_time = times["min"] if self.first_time is None else min(self.first_time, times["min"])
        self.last_time = times["max"] if self.last_time is None else max(self.last_time, times["max"])
        keys = batch.column(self.schema.key).to_numpy()
        rises = bool((np.diff(keys) > 0).all()) and (self._last_key is None or self._last_key < keys[0])
        self._keys_rise = self._keys_rise and rises
        self._last_key = int(keys[-1])

    def require_unique_keys(self) -> None:
        """After the file is closed: every key once. Rising keys prove it; others are counted, that column alone.

        Raises:
            SourceRefused: a key came twice.
        """
        if self._keys_rise:
            return
        keys = pq.read_table(self.path, columns=[self.schema.key]).column(0)
        counts = pc.value_counts(keys)
        repeated = counts.filter(pc.greater(counts.field("counts"), 1))
        if len(repeated):
            raise SourceRefused(
                f"{len(repeated):,} values of {self.schema.key!r} came more than once in one window, "
                f"the first is {repeated[0]['values']}.",
                remedy="The source repeats records: mend it there, then run the window again.",
            )


def row_count(path: Path) -> int:
    """Rows of a Parquet file, from its footer."""
    return int(pq.read_metadata(path).num_rows)


def file_digest(path: Path) -> RowDigest:
    """The digest of a Parquet file's rows, read a row group at a time."""
    with pq.ParquetFile(path) as file:
        return sum((batch_digest(batch) for batch in file.iter_batches(GROUP_ROWS)), RowDigest())
