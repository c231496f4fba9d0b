"""Builds the database from a clean file: parse, insert, index, summarize. Readers see the old file or the new one."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from adbc_driver_manager import Error as AdbcError

from flows_platform.domain.errors import ConfigurationError, InputError, StorageError
from flows_platform.domain.progress import Progress, silent
from flows_platform.domain.rejects import RejectedRecord
from flows_platform.domain.schema import TableSchema
from flows_platform.flow_database import layout
from flows_platform.flow_database.bulk import BulkConnection, bulk_connection
from flows_platform.flow_database.clean_lines import FastParser, ParsedBlock
from flows_platform.flow_database.line_blocks import line_blocks
from flows_platform.flow_database.load_summary import LoadSummary
from flows_platform.flow_database.page_checksums import append_checksums
from flows_platform.flow_database.read import row_count
from flows_platform.flow_database.replacement import Counted, ReplacementRules, described_reject, require_replaceable
from flows_platform.runtime.atomic_files import atomic_path
from flows_platform.runtime.read_ahead import read_ahead

# The file is new and is discarded if the load fails, so there is no journal and one sync at the end. Rows are appended,
# so a small cache is enough (64 MiB was no faster), and large pages save a few per cent of the inserts.
_PRAGMAS = (
    "page_size = 32768",
    "journal_mode = OFF",
    "synchronous = OFF",
    "locking_mode = EXCLUSIVE",
    "cache_size = -8192",
)
_BLOCK_BYTES = 1 << 20  # a batch of some 20,000 rows; half of it costs 3 % more time
_REJECTS_SCHEMA = pa.schema([("position", pa.int64()), ("reason", pa.string()), ("raw", pa.binary())])


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What the load did: lines read = loaded + rejected. Times are those of the loaded rows, None if there are none."""

    read: int
    loaded: int
    rejected: int
    first_time: int | None
    last_time: int | None
    clean_bytes: int
    database_bytes: int


def load(
    clean: Path,
    database: Path,
    schema: TableSchema,
    *,
    rules: ReplacementRules | None = None,
    progress: Progress = silent,
) -> LoadResult:
    """Load the clean file (plain or packed) into a new file that replaces `database`; progress in bytes.

    Invalid lines go to the table `rejected`. With `rules`, the old database stays if the result looks like that of a
    wrong file.

    Raises:
        InputError: the clean file is missing or damaged, repeats an id, or `rules` refuse the result.
        StorageError: the database cannot be written.
        ConfigurationError: both paths are the same file, or the schema cannot be loaded.
    """
    # guard: the clean file is never the database
    if clean.resolve() == database.resolve():
        raise ConfigurationError(f"The clean file and the database must be two files; got {database} for both.")
    parse = FastParser(schema)
    with atomic_path(database) as draft:
        blocks = map(parse, line_blocks(clean, progress, block_bytes=_BLOCK_BYTES))
        with _building(draft, database) as connection, closing(read_ahead(blocks)) as parsed:
            summary = _fill(connection, parsed, schema, clean)
        if rules:
            # guard: wrong clean files replace nothing
            require_replaceable(_counted(summary, clean, database, schema), rules)
        append_checksums(draft)
        sizes = clean.stat().st_size, draft.stat().st_size
    return LoadResult(summary.lines, summary.rows, summary.rejected, summary.first_time, summary.last_time, *sizes)


def _counted(summary: LoadSummary, clean: Path, database: Path, schema: TableSchema) -> Counted:
    described = _described(summary.first_reject, len(schema.columns)) if summary.first_reject else None
    return Counted(clean, database, summary.rows, summary.rejected, 0, _rows_of(database, schema), described)


def _described(first: RejectedRecord, fields: int) -> str:
    raw_line = first.raw.count(b",") + 1 == fields - 1
    guess = " (a line of the raw file? `flows clean` numbers them)" if raw_line else ""
    return described_reject(first.position, first.reason, first.raw) + guess


def _rows_of(database: Path, schema: TableSchema) -> int | None:
    """The number of rows of an earlier database; None if there is none, or it cannot be read."""
    try:
        return row_count(database, schema)
    except InputError:
        return None


@contextmanager
def _building(draft: Path, database: Path) -> Iterator[BulkConnection]:
    try:
        with bulk_connection(draft) as connection:
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
            yield connection
    except AdbcError as error:
        raise StorageError(
            f"{database} cannot be written: {error}",
            remedy="Free space or choose another path; the previous database is unchanged.",
        ) from error


def _fill(connection: BulkConnection, parsed: Iterator[ParsedBlock], schema: TableSchema, clean: Path) -> LoadSummary:
    connection.execute("BEGIN")
    for statement in (layout.create_table(schema), layout.CREATE_REJECTS, layout.CREATE_SUMMARY):
        connection.execute(statement)
    summary = LoadSummary(schema, clean, connection)
    inserted = 0
    for block in parsed:
        _insert_rejects(connection, block, first_line=summary.lines)
        summary.add(block)
        inserted += connection.insert(schema.name, block.rows)
    if inserted != summary.rows:
        raise StorageError(f"only {inserted:,} of the {summary.rows:,} rows of {clean} arrived in the database.")
    connection.execute(layout.create_index(schema))
    row = f"'{schema.name}', {summary.rows}, {int(summary.time_sorted)}, {int(summary.ids_contiguous)}"
    connection.execute(f"INSERT INTO {layout.SUMMARY_TABLE} VALUES ({row})")
    for statement in layout.create_triggers(schema):
        connection.execute(statement)
    connection.execute("COMMIT")
    return summary


def _insert_rejects(connection: BulkConnection, block: ParsedBlock, first_line: int) -> None:
    if block.rejects:
        rows = [(first_line + reject.position, reject.reason, reject.raw) for reject in block.rejects]
        columns = zip(*rows, strict=True)
        arrays = [pa.array(values, field.type) for values, field in zip(columns, _REJECTS_SCHEMA, strict=True)]
        connection.insert("rejected", pa.record_batch(arrays, schema=_REJECTS_SCHEMA))
