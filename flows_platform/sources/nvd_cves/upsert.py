"""Staged CVEs into the database: those newer than stored, first as a file of their own, then as rows. No Dagster."""

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

ID, MODIFIED, DOCUMENT = "cve_id", "last_modified", "document"  # columns of the staged file


@dataclass(frozen=True, slots=True)
class Filled:
    """What a staged file brought: its CVEs, those newer than stored (in the file `path`), and what became of them."""

    path: Path
    read: int
    newer: int
    counts: Counts


def fill(store: CveStore, staged: Path, schema: TableSchema, target: Path) -> Filled:
    """Write the CVEs of a staged file that are newer than stored to `target`, and then into the database.

    Killed anywhere, another call brings the rest; its file then holds that rest alone.

    Raises:
        InputError: the file is none of this schema, or a CVE is malformed.
        StorageError: file or database cannot be written.
        WarehouseUnavailable: the database cannot be reached now.
    """
    read = 0
    with atomic_path(target) as temporary, ParquetSink(temporary, schema) as sink:
        for batch in rows_of(staged, schema, BATCH):
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
