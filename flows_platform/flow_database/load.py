"""Building the database from a clean file: parse, insert, index, facts. Readers see the old file or the new one."""

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
from flows_platform.flow_database.load_summary import LoadFacts
from flows_platform.flow_database.page_checksums import append_checksums
from flows_platform.flow_database.read import row_count
from flows_platform.flow_database.replacement import Counted, ReplacementRules, described_reject, require_replaceable
from flows_platform.runtime.atomic_files import atomic_path
from flows_platform.runtime.read_ahead import read_ahead

# The file is new and is thrown away when the load fails: no journal, and one sync at the end. Rows are appended, so a
# small cache does (64 MiB was no faster), and large pages save a few per cent of the inserts.
_PRAGMAS = (
    "page_size = 32768",
    "journal_mode = OFF",
    "synchronous = OFF",
    "locking_mode = EXCLUSIVE",
    "cache_size = -8192",
)
_BLOCK_BYTES = 1 << 20  # a batch of some 20,000 rows: half of it costs 3 %
_REJECTS_SCHEMA = pa.schema([("position", pa.int64()), ("reason", pa.string()), ("raw", pa.binary())])


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What the load did: lines read = loaded + rejected; times are those of the loaded rows, None without any."""

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
    """Load the clean file (plain or packed) into a new `database` and put it in the old one's place; progress in bytes.

    A line that is not valid goes to the table `rejected` and the rest goes on. With `rules`, the old database stays
    where the outcome looks like that of a wrong file.

    Raises:
        InputError: the clean file is missing or damaged, repeats an id, or `rules` refuse what it gives.
        StorageError: the database cannot be written.
        ConfigurationError: both paths are the same file, or the schema cannot be loaded.
    """
    # guard: the clean file is never the database
    if clean.resolve() == database.resolve():
        raise ConfigurationError(f"The clean file and the database are two files; got {database} for both.")
    parse = FastParser(schema)
    with atomic_path(database) as part:
        blocks = map(parse, line_blocks(clean, progress, block_bytes=_BLOCK_BYTES))
        with _building(part, database) as connection, closing(read_ahead(blocks)) as parsed:
            facts = _fill(connection, parsed, schema, clean)
        if rules:
            # guard: wrong clean files replace nothing
            require_replaceable(_counted(facts, clean, database, schema), rules)
        append_checksums(part)
        sizes = clean.stat().st_size, part.stat().st_size
    return LoadResult(
        facts.rows + facts.rejected, facts.rows, facts.rejected, facts.first_time, facts.last_time, *sizes
    )


def _counted(facts: LoadFacts, clean: Path, database: Path, schema: TableSchema) -> Counted:
    described = _described(facts.first_reject, len(schema.columns)) if facts.first_reject else None
    return Counted(clean, database, facts.rows, facts.rejected, 0, _rows_of(database, schema), described)


def _described(first: RejectedRecord, fields: int) -> str:
    raw_line = first.raw.count(b",") + 1 == fields - 1
    guess = " (a line of the raw file? `flows clean` numbers them)" if raw_line else ""
    return described_reject(first.position, first.reason, first.raw) + guess


def _rows_of(database: Path, schema: TableSchema) -> int | None:
    """The rows of an earlier database; None where there is none that can be read."""
    try:
        return row_count(database, schema)
    except InputError:
        return None


@contextmanager
def _building(part: Path, database: Path) -> Iterator[BulkConnection]:
    try:
        with bulk_connection(part) as connection:
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
            yield connection
    except AdbcError as error:
        raise StorageError(
            f"{database} cannot be written: {error}",
            remedy="Free space or choose another place; what stood there before is untouched.",
        ) from error


def _fill(connection: BulkConnection, parsed: Iterator[ParsedBlock], schema: TableSchema, clean: Path) -> LoadFacts:
    connection.execute("BEGIN")
    for statement in (layout.create_table(schema), layout.CREATE_REJECTS, layout.CREATE_FACTS):
        connection.execute(statement)
    facts = LoadFacts(schema, clean, connection)
    inserted = 0
    for block in parsed:
        _insert_rejects(connection, block, first_line=facts.lines)
        facts.add(block)
        inserted += connection.insert(schema.name, block.rows)
    if inserted != facts.rows:
        raise StorageError(f"{inserted:,} rows of {facts.rows:,} arrived in the database that is made of {clean}.")
    connection.execute(layout.create_index(schema))
    row = f"'{schema.name}', {facts.rows}, {int(facts.time_sorted)}, {int(facts.ids_contiguous)}"
    connection.execute(f"INSERT INTO {layout.FACTS_TABLE} VALUES ({row})")
    for statement in layout.create_triggers(schema):
        connection.execute(statement)
    connection.execute("COMMIT")
    return facts


def _insert_rejects(connection: BulkConnection, block: ParsedBlock, first_line: int) -> None:
    if block.rejects:
        rows = [(first_line + reject.position, reject.reason, reject.raw) for reject in block.rejects]
        columns = zip(*rows, strict=True)
        arrays = [pa.array(values, field.type) for values, field in zip(columns, _REJECTS_SCHEMA, strict=True)]
        connection.insert("rejected", pa.record_batch(arrays, schema=_REJECTS_SCHEMA))
