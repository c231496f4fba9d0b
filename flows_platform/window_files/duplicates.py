"""Records that came more than once in one pull: identical ones are kept once, conflicting ones refused.

If a record is on two pages, the pages moved while they were read, or overlap; then another record may be on no page.
The account counts such repeats, so that a declared total is compared with the number of distinct records.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Self

import pyarrow as pa
import pyarrow.compute as pc

from flows_platform.columns.casting import Casted
from flows_platform.columns.raw_records import raw_record
from flows_platform.domain.decimals import plain
from flows_platform.domain.errors import SourceRefused
from flows_platform.domain.rejects import RejectedRecord
from flows_platform.domain.schema import TableSchema
from flows_platform.runtime.atomic_files import atomic_path
from flows_platform.window_files.parquet import ParquetSink, batches_of, footer_of
from flows_platform.window_files.profile import Profiler

type Key = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Repeats:
    """How many repeated records were dropped, and the sink that wrote the file without them; None if there were none.

    `across` has the content of the records that were on an earlier page of their pull too. `between_pulls` of those
    dropped came in another pull: two values of `for_each` may give the same record.
    """

    dropped: int = 0
    across: dict[Key, bytes] = field(default_factory=dict)
    between_pulls: int = 0
    sink: ParquetSink | None = None


NONE = Repeats()


def drop_repeats(
    path: Path,
    schema: TableSchema,
    pages: Sequence[int] = (),
    profiler: Callable[[], Profiler | None] = lambda: None,
    *,
    pulls: Sequence[int] = (),
) -> Repeats:
    """Rewrite the file without repeated records, if it has any.

    `pages` are the numbers of the pages' first rows, `pulls` those of the pulls' first rows.

    Holds the key columns in memory, then a hash for each key that repeats.

    Raises:
        SourceRefused: two records of one key differ.
    """
    keys = list(batches_of(path, columns=list(schema.keys)))
    repeated = _repeated(pa.Table.from_batches(keys)) if keys else None
    if repeated is None or not repeated.num_rows:
        return NONE
    footer = footer_of(path)
    with atomic_path(path) as temporary, ParquetSink(temporary, schema, profiler()) as sink:
        first = _FirstOfEach(schema, repeated, pages, pulls)
        for batch in batches_of(path):
            sink.write(first.of(batch))
        dropped = footer.rows - sink.rows
        sink.footer = replace(footer, deduplicated=footer.deduplicated + dropped)
    return Repeats(dropped, first.across, first.between_pulls, sink)


def _repeated(keys: pa.Table) -> pa.Table:
    counts = keys.group_by(keys.column_names).aggregate([([], "count_all")])
    return counts.filter(pc.greater(counts.column("count_all"), 1))


class _FirstOfEach:
    """Keeps the first record of each repeated key, and compares the others with it."""

    def __init__(self, schema: TableSchema, repeated: pa.Table, pages: Sequence[int], pulls: Sequence[int]) -> None:
        self._keys = schema.keys
        self._suspects = repeated.column(self._keys[0])
        self._repeated = set(zip(*(repeated.column(name).to_pylist() for name in self._keys), strict=True))
        self._pages = pages
        self._pulls = pulls
        self._seen: dict[Key, tuple[bytes, int, int]] = {}
        self._row = 0
        self.across: dict[Key, bytes] = {}
        self.between_pulls = 0

    def of(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch without repeats.

        Raises:
            SourceRefused: two records of one key differ.
        """
        first, self._row = self._row, self._row + batch.num_rows
        suspects = pc.is_in(batch.column(self._keys[0]), value_set=self._suspects)
        if not pc.any(suspects).as_py():
            return batch
        indices = [index for index, suspect in enumerate(suspects.to_pylist()) if suspect]
        records = zip(indices, batch.filter(suspects).to_pylist(), strict=True)
        dropped = {index for index, record in records if not self._is_first(record, first + index)}
        return batch.filter(pa.array([index not in dropped for index in range(batch.num_rows)]))

    def _is_first(self, record: dict[str, object], row: int) -> bool:
        key = tuple(record[name] for name in self._keys)
        if key not in self._repeated:
            return True
        content = sha256(raw_record(record)).digest()
        page, pull = bisect_right(self._pages, row), bisect_right(self._pulls, row)
        known, before, earlier = self._seen.setdefault(key, (content, page, pull))
        if known is content:
            return True
        # guard: repeats that differ are refused
        if known != content:
            named = ", ".join(f"{name} {_shown(value)}" for name, value in zip(self._keys, key, strict=True))
            raise SourceRefused(
                f"two records of one window have {named} and differ.",
                remedy="The source contradicts itself: correct it there, or declare a `key` that distinguishes them, "
                "then run the window again.",
            )
        # guard: a record of two pulls is not one of pages that moved
        if pull != earlier:
            self.between_pulls += 1
            self._seen[key] = known, page, pull
        elif page != before:
            self.across[key] = content
        return False


def _shown(value: object) -> str:
    return plain(value) if isinstance(value, Decimal) else repr(value) if isinstance(value, str) else str(value)


class PullAccount:
    """Finds repeats that are not in the file of a pull: of rejects, and of neighbouring windows' records.

    The neighbours' keys go to a temporary file in `folder`. `pages` has the number of each page's first row, `pulls`
    those of the values of `for_each`; a pull without a total needs nothing else (`counting` is False).
    """

    def __init__(self, schema: TableSchema, folder: Path, *, counting: bool) -> None:
        self._schema = schema
        self._folder = folder
        self._counting = counting
        self._rows = 0
        self._page = 0
        self._rejects: dict[tuple[int, bytes], int] = {}
        self._repeated_rejects = 0
        self._file: IO[bytes] | None = None
        self._writer: pa.RecordBatchFileWriter | None = None
        self._pull = 0
        self.pages: list[int] = []
        self.pulls: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, casted: Casted, page: int, range_number: int, pull: int = 0) -> None:
        """Note a slice of the page, which belongs to that range of that pull."""
        if pull != self._pull:
            self._pull = pull
            self.pulls.append(self._rows)
        if page != self._page:
            self._page = page
            self.pages.append(self._rows)
        self._rows += casted.batch.num_rows
        if self._counting:
            self._note_rejects(casted.rejects, range_number)
            if casted.neighbours is not None and casted.neighbours.num_rows:
                self._note_neighbours(casted.neighbours, range_number)

    def repeats(self) -> int:
        """How many neighbours, and rejects of different pages, came more than once in a range."""
        if self._writer is None:
            return self._repeated_rejects
        self._writer.close()
        keys = pa.ipc.open_file(self._file).read_all()
        distinct = keys.group_by(keys.column_names).aggregate([]).num_rows
        return self._repeated_rejects + int(keys.num_rows - distinct)

    def _note_rejects(self, rejects: Sequence[RejectedRecord], range_number: int) -> None:
        for reject in rejects:
            content = range_number, sha256(reject.raw).digest()[:8]
            self._repeated_rejects += self._rejects.setdefault(content, self._page) != self._page

    def _note_neighbours(self, batch: pa.RecordBatch, range_number: int) -> None:
        numbers = pa.array([range_number] * batch.num_rows, pa.int64())
        columns = [numbers, *(batch.column(name) for name in self._schema.keys)]
        noted = pa.RecordBatch.from_arrays(columns, names=["", *self._schema.keys])
        if self._writer is None:
            self._file = TemporaryFile(dir=self._folder)  # noqa: SIM115 - open until the block ends
            self._writer = pa.ipc.new_file(self._file, noted.schema)
        self._writer.write_batch(noted)
