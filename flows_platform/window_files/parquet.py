"""Window files as Parquet: written from a stream of batches in constant memory, and read.

The callers write to a path of `atomic_path`, so a file is complete or absent.
"""

import hashlib
from collections.abc import Buffer, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flows_platform.columns.batches import Time, arrow_schema, batch_digest
from flows_platform.domain.errors import InputError
from flows_platform.domain.schema import TableSchema
from flows_platform.domain.verification import RowDigest
from flows_platform.domain.windows import Window
from flows_platform.runtime.atomic_files import reading, sha256_of
from flows_platform.window_files.profile import Profiler
from flows_platform.window_files.window_file import WindowFile

GROUP_ROWS = 1 << 16  # rows of a row group, at most: 5 MB of flows
GROUP_BYTES = 1 << 25  # of a row group in memory, about: rows with long texts take kilobytes each
BATCHES = 256  # of a row group in memory, at most
REPEATS = 8  # a column has a dictionary if its values occur more often than this on average
PREFIX = "flows."  # of our own entries in the file's metadata


@dataclass(frozen=True, slots=True)
class Footer:
    """The footer of a window file: its number of rows, and what became of the other records.

    `beside` is the source's count minus our own records. It is positive if the source counts records of neighbouring
    windows, which are skipped, and negative if it counts parents that give several rows. `quarantine` is the SHA-256 of
    the file's quarantine, `reprocessed` that of the quarantine whose records were merged into it. `fetched_at` is the
    time of the fetch (UTC, ISO 8601) where a column shows it. `values` is the number of values of `for_each`, and
    `values_sha256` their digest.
    """

    rows: int = 0
    rejected: int = 0
    deduplicated: int = 0
    quarantine: str = ""
    reprocessed: str = ""
    beside: int = 0
    fetched_at: str = ""
    values: int = 0
    values_sha256: str = ""

    @property
    def other_records(self) -> int:
        """Number of the source's records that are not rows of the file."""
        return self.rejected + self.deduplicated

    @classmethod
    def of(cls, found: pq.FileMetaData) -> Self:
        """The footer of a file that was read."""
        entries = {key.decode(): value.decode() for key, value in (found.metadata or {}).items()}
        return cls(
            rows=found.num_rows,
            rejected=int(entries.get(f"{PREFIX}rejected", 0)),
            deduplicated=int(entries.get(f"{PREFIX}deduplicated", 0)),
            quarantine=entries.get(f"{PREFIX}quarantine", ""),
            reprocessed=entries.get(f"{PREFIX}replayed", ""),
            beside=int(entries.get(f"{PREFIX}beside", 0)),
            fetched_at=entries.get(f"{PREFIX}fetched_at", ""),
            values=int(entries.get(f"{PREFIX}values", 0)),
            values_sha256=entries.get(f"{PREFIX}values_sha256", ""),
        )

    def entries(self) -> dict[str, str]:
        """The entries for the file's metadata; Parquet counts the rows itself."""
        return {
            f"{PREFIX}rejected": str(self.rejected),
            f"{PREFIX}deduplicated": str(self.deduplicated),
            f"{PREFIX}quarantine": self.quarantine,
            f"{PREFIX}replayed": self.reprocessed,  # the old name of `reprocessed`, which existing files have
            f"{PREFIX}beside": str(self.beside),
            **({f"{PREFIX}fetched_at": self.fetched_at} if self.fetched_at else {}),
            **self._list(),
        }

    def _list(self) -> dict[str, str]:
        """The entries about the values of `for_each`."""
        if not self.values:
            return {}
        return {f"{PREFIX}values": str(self.values), f"{PREFIX}values_sha256": self.values_sha256}

    @property
    def fetched(self) -> datetime | None:
        """`fetched_at` as an instant."""
        return datetime.fromisoformat(self.fetched_at) if self.fetched_at else None


class _DigestedFile:
    """A file that digests what is written to it. The Parquet writer never seeks back."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._digest = hashlib.sha256()
        self.tell = self._file.tell
        self.flush = self._file.flush
        self.close = self._file.close

    @property
    def closed(self) -> bool:
        return self._file.closed

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, data: Buffer) -> int:
        self._digest.update(data)
        return self._file.write(data)


@dataclass(slots=True)
class ParquetSink:
    """Writes batches of `schema` to `path`, and collects the content of a `WindowFile` meanwhile.

    The times are the time column's own values: seconds since the schema's epoch, or instants. `keys_rise` says whether
    every key was greater than the one before. Set `footer` before the block ends.
    """

    path: Path
    schema: TableSchema
    profiler: Profiler | None = None
    rows: int = 0
    first_time: Time | None = None
    last_time: Time | None = None
    keys_rise: bool = True
    footer: Footer = field(default_factory=Footer)
    _last_key: pa.Scalar | None = None
    _held: list[pa.RecordBatch] = field(default_factory=list)
    _held_rows: int = 0
    _held_bytes: int = 0
    _file: _DigestedFile | None = None
    _writer: pq.ParquetWriter | None = None
    _encoder: ThreadPoolExecutor = field(default_factory=partial(ThreadPoolExecutor, 1))
    _encoding: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._flush()
                self._encoded()
                writer = self._opened(arrow_schema(self.schema).empty_table())
                writer.add_key_value_metadata(self.footer.entries())
        finally:
            self._encoder.shutdown()
            self._close()

    def _close(self) -> None:
        try:
            if self._writer:
                self._writer.close()
                self._writer = None
        finally:
            if self._file:
                self._file.close()

    def window_file(self, window: Window | None, location: Path) -> WindowFile:
        """The finished file, which the caller moves to `location`; call it after the block."""
        if self._file is None or not self._file.closed:
            raise RuntimeError("the sink is still writing")
        return WindowFile(
            window=window,
            location=location,
            sha256=self._file.sha256,
            rows=self.rows,
            rejected=self.footer.rejected,
            deduplicated=self.footer.deduplicated,
            first_time=self.first_time,
            last_time=self.last_time,
            quarantine_sha256=self.footer.quarantine,
            profile=self.profiler.profile() if self.profiler else None,
        )

    def write(self, batch: pa.RecordBatch) -> None:
        """Add a batch; times, keys and the file change only with its row group."""
        if not batch.num_rows:
            return
        self.rows += batch.num_rows
        self._held.append(batch)
        self._held_rows += batch.num_rows
        self._held_bytes += batch.nbytes
        # guard: many small batches are one
        if len(self._held) >= BATCHES:  # a batch of one row takes 2 kB beside its values
            self._held = pa.Table.from_batches(self._held).combine_chunks().to_batches()
        # guard: a row group is bounded by bytes
        if self._held_rows >= GROUP_ROWS or self._held_bytes >= GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        """Hand the row group to the second thread once it is done with the one before; encoding releases the GIL."""
        if not self._held:
            return
        group = pa.Table.from_batches(self._held)
        self._held, self._held_rows, self._held_bytes = [], 0, 0
        self._encoded()
        self._encoding = self._encoder.submit(self._encode, group)

    def _encoded(self) -> None:
        """Wait for the row group that is being encoded, and raise its error."""
        if self._encoding:
            self._encoding.result()
            self._encoding = None

    def _encode(self, group: pa.Table) -> None:
        self._observe(group)
        self._opened(group).write_table(group, row_group_size=GROUP_ROWS)

    def _opened(self, group: pa.Table) -> pq.ParquetWriter:
        """The writer; the first row group opens it, and shows which columns have repeating values.

        zstd 1 is as fast as snappy and 40 % smaller on flows. Dictionaries of these columns save a tenth of the space
        and take no time; dictionaries of all columns take half as long again and save no more.
        """
        if self._writer is None:
            self._file = _DigestedFile(self.path)
            # guard: pages' checksums are written
            self._writer = pq.ParquetWriter(
                self._file,
                arrow_schema(self.schema),
                compression="zstd",
                compression_level=1,
                use_dictionary=_repeating(group),
                write_page_checksum=True,
            )
        return self._writer

    def _observe(self, group: pa.Table) -> None:
        if self.profiler:
            self.profiler.add(group)
        times = pc.min_max(group.column(self.schema.time)).as_py()
        self.first_time = times["min"] if self.first_time is None else min(self.first_time, times["min"])
        self.last_time = times["max"] if self.last_time is None else max(self.last_time, times["max"])
        if self.schema.key_rest:  # checking that these rise costs more than a search for repeats at the end
            self.keys_rise = False
            return
        keys = group.column(self.schema.key).combine_chunks()
        if self.keys_rise:
            after_last = self._last_key is None or pc.greater(keys[0], self._last_key).as_py()
            self.keys_rise = after_last and pc.all(pc.greater(keys[1:], keys[:-1])).as_py() is not False
        self._last_key = keys[-1]


def _repeating(group: pa.Table) -> list[str]:
    """The columns whose values occur more than `REPEATS` times on average."""
    return [
        name
        for name, column in zip(group.column_names, group.columns, strict=True)
        if pc.count_distinct(column, mode="all").as_py() * REPEATS < group.num_rows
    ]


def rows_of(path: Path, schema: TableSchema, size: int = GROUP_ROWS) -> Iterator[pa.RecordBatch]:
    """A window file's rows in the columns of `schema`, `size` at a time; a new nullable column is null.

    Raises:
        InputError: the file's columns do not fit the schema.
    """
    target = arrow_schema(schema)
    if set(columns_of(path).names) - set(target.names):
        raise _foreign(path, schema, "it has more columns")
    for batch in batches_of(path, size):
        columns = [_column(batch, declared) for declared in target]
        for declared, column in zip(target, columns, strict=True):
            if column.type != declared.type or (column.null_count and not declared.nullable):
                raise _foreign(path, schema, f"its column {declared.name} differs")
        yield pa.RecordBatch.from_arrays(columns, schema=target)


def _column(batch: pa.RecordBatch, declared: pa.Field) -> pa.Array:
    known = declared.name in batch.schema.names
    return batch.column(declared.name) if known else pa.nulls(batch.num_rows, declared.type)


def _foreign(path: Path, schema: TableSchema, why: str) -> InputError:
    return InputError(
        f"{path} was written under another schema of {schema.name}: {why}.", remedy="Fetch the window again."
    )


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Arrow's error about a file that it cannot read becomes an InputError."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read as Parquet ({error}).", remedy="Fetch the window again.") from error


def batches_of(path: Path, size: int = GROUP_ROWS, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """A Parquet file's rows, `size` at a time, or only these columns; every page's checksum is verified.

    Raises:
        InputError: the file is not Parquet, or a page is damaged.
    """
    with opened(path) as file:
        yield from file.batches(size, columns)


def columns_of(path: Path) -> pa.Schema:
    """A Parquet file's columns, as Arrow wrote them.

    Raises:
        InputError: the file is not Parquet.
    """
    with opened(path) as file:
        return file.columns


def footer_of(path: Path) -> Footer:
    """A window file's footer.

    Raises:
        InputError: the file is not Parquet.
    """
    with opened(path) as file:
        return file.footer


def file_digest(path: Path) -> RowDigest:
    """The digest of a Parquet file's rows, read a row group at a time."""
    return sum((batch_digest(batch) for batch in batches_of(path)), RowDigest())


class OpenFile:
    """A window file that is open for reading: digest, footer and rows come from one open file.

    Raises:
        InputError: by any member, if the file is not Parquet or a page is damaged.
    """

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self._file = file

    @cached_property
    def sha256(self) -> str:
        self._file.seek(0)
        return sha256_of(self._file)

    @property
    def footer(self) -> Footer:
        return Footer.of(self._parquet.metadata)

    @property
    def columns(self) -> pa.Schema:
        """The columns, as Arrow wrote them."""
        return self._parquet.schema_arrow

    def batches(self, size: int = GROUP_ROWS, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows, `size` at a time, or only these columns; every page's checksum is verified."""
        with _readable(self.path):
            yield from self._parquet.iter_batches(size, columns=columns)

    @cached_property
    def _parquet(self) -> pq.ParquetFile:
        # guard: pages' checksums are verified
        with _readable(self.path):
            return pq.ParquetFile(self._file, page_checksum_verification=True)


@contextmanager
def opened(path: Path) -> Iterator[OpenFile]:
    """The file, open until the block ends.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    with reading(path), path.open("rb") as file:
        yield OpenFile(path, file)
