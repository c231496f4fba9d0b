"""Brings the CVEs of a window file that are newer than stored into the database. No Dagster."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from flows_platform.columns.raw_records import Unreadable
from flows_platform.domain.errors import InputError
from flows_platform.domain.schema import TableSchema
from flows_platform.formats.json.record_line import read_record
from flows_platform.runtime.atomic_files import atomic_path
from flows_platform.sources.nvd_cves.rows import CveVersion
from flows_platform.sources.nvd_cves.store import BATCH, Counts, CveStore
from flows_platform.window_files.parquet import ParquetSink, rows_of

ID, MODIFIED, DOCUMENT = "cve_id", "last_modified", "document"  # columns of the window file


@dataclass(frozen=True, slots=True)
class Filled:
    """What a window file brought: how many CVEs, how many newer than stored (in the file `path`), and their upsert."""

    path: Path
    read: int
    newer: int
    counts: Counts


def fill(store: CveStore, window_file: Path, schema: TableSchema, target: Path) -> Filled:
    """Write the CVEs of a window file that are newer than stored to `target`, then to the database.

    After a kill another call writes the rest; its file then holds the rest only.

    Raises:
        InputError: the file does not have this schema, or a CVE is malformed.
        StorageError: the file or the database cannot be written.
        WarehouseUnavailable: the database cannot be reached now.
    """
    read = 0
    with atomic_path(target) as temporary, ParquetSink(temporary, schema) as sink:
        for batch in rows_of(window_file, schema, BATCH):
            read += batch.num_rows
            sink.write(_newer(store, batch))
    counts = store.upsert(_documents(target, schema))
    return Filled(target, read, sink.rows, counts + Counts(unchanged=read - sink.rows))


def _newer(store: CveStore, batch: pa.RecordBatch) -> pa.RecordBatch:
    ids, times = batch.column(ID).to_pylist(), batch.column(MODIFIED).to_pylist()
    newer = store.newer(CveVersion(cve_id, time) for cve_id, time in zip(ids, times, strict=True))
    # guard: only what is newer
    return batch.filter(pa.array([cve_id in newer for cve_id in ids], pa.bool_()))


def _documents(path: Path, schema: TableSchema) -> Iterator[dict[str, object]]:
    for batch in rows_of(path, schema, BATCH):
        for text in batch.column(DOCUMENT).to_pylist():
            cve = read_record(text.encode())
            if isinstance(cve, Unreadable):
                raise InputError(f"a document in {path} is {cve.reason}.", remedy="Fetch the window again.")
            yield cve
