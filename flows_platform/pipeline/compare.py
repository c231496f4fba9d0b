"""Whether windows are the same at the source, in their staged files and in the warehouse: by count, or row by row.

`compare_counts` asks the source by HEAD and the warehouse by one query for all windows. `compare_rows` streams each
window afresh and compares order-independent digests, so that it also sees a changed value. Where a staged file is gone,
the ledger says what it held.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows_platform.columns.batches import batch_digest
from flows_platform.domain.errors import InputError
from flows_platform.domain.verification import RowDigest
from flows_platform.domain.windows import Window, WindowGrid
from flows_platform.fetch.backoff import attempts
from flows_platform.fetch.window_stream import FetchPlan, WindowStream
from flows_platform.pipeline.window_pipeline import WindowPipeline
from flows_platform.window_files.ledger import StagedEntry, Withheld
from flows_platform.window_files.parquet import file_digest, staged_facts


@dataclass(frozen=True, slots=True)
class Staged:
    """A window's staged file: its rows, and the source's records that are no rows of it (rejected ones, repeats).

    `by` says who knows that: the file, or the ledger where it is gone. `rows` is None where nobody does: it was never
    fetched here, or there is a `fault` with the file. `path` is None where it cannot be read.
    """

    rows: int | None
    set_aside: int = 0
    by: str = "staged file"
    fault: str = ""
    path: Path | None = None

    @property
    def records(self) -> int | None:
        return None if self.rows is None else self.rows + self.set_aside


@dataclass(frozen=True, slots=True)
class Comparison:
    """One window in the three places. `source` is None where the source tells no count.

    `digests` are those of source, file and warehouse by the place's name, or None where only counts were compared; that
    of a file that is gone is left out. `withheld` is set where the staged file waits for a confirmation.
    """

    window: Window
    source: int | None
    staged: Staged
    warehouse: int
    digests: dict[str, RowDigest] | None = None
    withheld: Withheld | None = None

    @property
    def records(self) -> int:
        """What the source sends: as it counts them, else as they were received, else what the table has."""
        known = (self.source, self.staged.records, self.warehouse)
        return next(number for number in known if number is not None)

    @property
    def waits(self) -> bool:
        """Whether the window differs because it waits for a confirmation, and the source still says what it said."""
        return self.withheld is not None and self.source in {None, self.staged.records}

    @property
    def is_compared(self) -> bool:
        """Whether there was anything to hold the table's rows against."""
        return self.digests is not None or self.source is not None or self.staged.rows is not None

    @property
    def difference(self) -> str:
        """What differs, in words; empty where nothing does, or nothing could be compared."""
        if self.staged.fault:
            return self.staged.fault
        if self.waits and self.withheld:
            return self.withheld.story
        return self._counts_differ or self._values_differ

    @property
    def _counts_differ(self) -> str:
        staged, source = self.staged, self.source
        if staged.rows is None:
            here = f"source {source or 0:,} records, warehouse {self.warehouse:,} rows; it was never fetched here"
            return here if source not in {None, self.warehouse} else ""
        if source not in {None, staged.records}:
            return f"source {source:,} records, {staged.by} {staged.rows:,} rows and {staged.set_aside:,} set aside"
        if staged.rows != self.warehouse:
            return f"{staged.by} {staged.rows:,} rows, warehouse {self.warehouse:,}"
        return ""

    @property
    def _values_differ(self) -> str:
        if self.digests and len(set(self.digests.values())) > 1:
            return "other values: " + ", ".join(f"{place} {digest}" for place, digest in self.digests.items())
        return ""


def compare_counts(
    pipeline: WindowPipeline, grid: WindowGrid, windows: Sequence[Window], *, prove_files: bool = True
) -> Iterator[Comparison]:
    """Compare each window by count alone; `prove_files` reads each staged file for its digest too."""
    held, entries = pipeline.warehouse.window_counts(pipeline.table, grid), pipeline.ledger.staged()
    waiting = pipeline.ledger.waiting()
    for window in windows:
        source = pipeline.source_count(window)
        staged = _staged(pipeline, window, entries.get(window.key), prove=prove_files)
        yield Comparison(window, source, staged, held.get(window, 0), withheld=waiting.get(window.key))


def compare_rows(pipeline: WindowPipeline, windows: Sequence[Window]) -> Iterator[Comparison]:
    """Compare each window row by row, by digest; the source streams it once more."""
    entries, waiting = pipeline.ledger.staged(), pipeline.ledger.waiting()
    for window in windows:
        source, received = _source_digest(pipeline, window)
        staged = _staged(pipeline, window, entries.get(window.key), prove=True)
        warehouse = pipeline.warehouse.digest(pipeline.table, window)
        file = {staged.by: file_digest(staged.path)} if staged.path else {}
        digests = {"source": source, **file, "warehouse": warehouse}
        yield Comparison(window, received, staged, warehouse.count, digests, waiting.get(window.key))


def _staged(pipeline: WindowPipeline, window: Window, entry: StagedEntry | None, *, prove: bool) -> Staged:
    path = pipeline.path(window)
    if not path.exists():
        return Staged(entry.rows, entry.set_aside, by="ledger") if entry else Staged(None)
    try:
        facts = staged_facts(pipeline.staged(window) if prove else path)
    except InputError as error:
        return Staged(None, fault=str(error))
    return Staged(facts.rows, facts.rejected + facts.deduplicated, path=path)


def _source_digest(pipeline: WindowPipeline, window: Window) -> tuple[RowDigest, int]:
    """The digest of the source's good records, and the number of all."""
    for attempt in attempts(pipeline.tries):
        with attempt:
            stream = WindowStream(FetchPlan(pipeline.client, pipeline.api, window))
            digest = sum((batch_digest(casted.batch) for casted in stream), RowDigest())
            return digest, stream.result().rows + stream.result().rejected
    raise AssertionError("attempts() gives at least one try")  # pragma: no cover
