"""Whether windows are the same at the source, in their files and in the warehouse: by count, or row by row.

`compare_counts` asks the source by HEAD and the warehouse by one query for all windows. `compare_rows` streams each
window again and compares digests that do not depend on the order, so it also sees a changed value. Where a window file
is gone, the ledger says what it held.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from flows_platform.columns.batches import batch_digest
from flows_platform.domain.errors import InputError
from flows_platform.domain.verification import RowDigest
from flows_platform.domain.windows import Window, WindowGrid
from flows_platform.fetch.backoff import attempts
from flows_platform.fetch.fetch_plan import FetchPlan
from flows_platform.fetch.window_stream import WindowStream
from flows_platform.pipeline.window_pipeline import WindowPipeline
from flows_platform.window_files.ledger import RecordedFile, Withheld
from flows_platform.window_files.parquet import file_digest, footer_of


@dataclass(frozen=True, slots=True)
class FileState:
    """A window file: its rows, and the source's records that are not rows of it (rejected or repeated).

    `by` says where the numbers come from: the file, or the ledger if the file is gone. `rows` is None if both are
    missing, or the file has a `fault`. `path` is None if the file cannot be read. `repeats` are records of the source
    that were dropped, since they had come before.
    """

    rows: int | None
    other_records: int = 0
    by: str = "window file"
    fault: str = ""
    path: Path | None = None
    repeats: int = 0

    @property
    def records(self) -> int | None:
        return None if self.rows is None else self.rows + self.other_records


@dataclass(frozen=True, slots=True)
class Comparison:
    """One window at the source, in its file and in the warehouse. `source` is None if the source gives no count.

    `digests` has the digest of each of the three by its name, or is None if only counts were compared. `withheld` is
    set if the file waits for a confirmation.
    """

    window: Window
    source: int | None
    file: FileState
    warehouse: int
    digests: dict[str, RowDigest] | None = None
    withheld: Withheld | None = None

    @property
    def records(self) -> int:
        """What the source sends: its own count, else the records received, else the rows of the table."""
        known = (self.source, self.file.records, self.warehouse)
        return next(number for number in known if number is not None)

    @property
    def waits(self) -> bool:
        """Whether it differs because it waits for a confirmation, while the source still gives the same count."""
        return self.withheld is not None and self.source in {None, self.file.records}

    @property
    def is_compared(self) -> bool:
        """Whether there was anything to compare the table's rows with."""
        return self.digests is not None or self.source is not None or self.file.rows is not None

    @property
    def difference(self) -> str:
        """What differs, in words; empty where nothing differs or nothing could be compared."""
        if self.file.fault:
            return self.file.fault
        if self.waits and self.withheld:
            return self.withheld.story
        return self._counts_differ or self._values_differ

    @property
    def _counts_differ(self) -> str:
        file, source = self.file, self.source
        if file.rows is None:
            here = f"source {source or 0:,} records, warehouse {self.warehouse:,} rows; it was never fetched here"
            return here if source not in {None, self.warehouse} else ""
        if source not in {None, file.records}:
            here = f"{file.by} {file.rows:,} rows and {file.other_records:,} rejected or repeated"
            return f"source {source:,} records, {here}"
        if file.rows != self.warehouse:
            return f"{file.by} {file.rows:,} rows, warehouse {self.warehouse:,}"
        return ""

    @property
    def _values_differ(self) -> str:
        if self.digests and len(set(self.digests.values())) > 1:
            return "other values: " + ", ".join(f"{name} {digest}" for name, digest in self.digests.items())
        return ""


def compare_counts(
    pipeline: WindowPipeline, grid: WindowGrid, windows: Sequence[Window], *, prove_files: bool = True
) -> Iterator[Comparison]:
    """Compare each window by count alone; `prove_files` reads each window file for its digest too."""
    if not windows:
        return
    first, last = min(windows), max(windows)
    held = pipeline.warehouse.window_counts(pipeline.table, grid, Window(first.start, last.end))
    recorded = pipeline.ledger.window_files(first.key, last.key)
    waiting = pipeline.ledger.waiting()
    for window in windows:
        source = pipeline.source_count(window)
        file = _file_state(pipeline, window, recorded.get(window.key), prove=prove_files)
        yield Comparison(window, source, file, held.get(window, 0), withheld=waiting.get(window.key))


def compare_rows(pipeline: WindowPipeline, windows: Sequence[Window]) -> Iterator[Comparison]:
    """Compare each window row by row, by digest; the source streams it once more, unless it has only a list of now.

    Of a window with repeats only the number of the source's records is compared: its digest would have the repeats too.
    """
    recorded, waiting = pipeline.ledger.window_files(), pipeline.ledger.waiting()
    for window in windows:
        at_source, received = ({}, None) if pipeline.api.snapshot else _source_digest(pipeline, window)
        file = _file_state(pipeline, window, recorded.get(window.key), prove=True)
        # guard: a digest of repeats is not that of rows
        if file.repeats:
            at_source = {}
        warehouse = pipeline.warehouse.digest(pipeline.table, window)
        in_file = {file.by: file_digest(file.path)} if file.path else {}
        digests = {**at_source, **in_file, "warehouse": warehouse}
        found = digests if len(digests) > 1 else None
        yield Comparison(window, received, file, warehouse.count, found, waiting.get(window.key))


def _file_state(pipeline: WindowPipeline, window: Window, recorded: RecordedFile | None, *, prove: bool) -> FileState:
    path = pipeline.path(window)
    if not path.exists():
        return FileState(recorded.last_rows, recorded.other_records, by="ledger") if recorded else FileState(None)
    try:
        footer = footer_of(pipeline.proven_path(window) if prove else path)
    except InputError as error:
        return FileState(None, fault=str(error))
    return FileState(footer.rows, footer.other_records, path=path, repeats=footer.deduplicated)


def _plan_again(pipeline: WindowPipeline, window: Window) -> FetchPlan:
    """A fetch whose rows show the time of the fetch that made the window's file."""
    plan, path = FetchPlan(pipeline.client, pipeline.api, window), pipeline.path(window)
    with suppress(InputError):  # a damaged file is reported where it is proven
        fetched = footer_of(path).fetched if path.exists() else None
        return replace(plan, fetched_at=fetched) if fetched else plan
    return plan


def _source_digest(pipeline: WindowPipeline, window: Window) -> tuple[dict[str, RowDigest], int | None]:
    """The digest of the source's good records, by its name, and the number of all."""
    for attempt in attempts(pipeline.tries):
        with attempt:
            stream = WindowStream(_plan_again(pipeline, window))
            digest = sum((batch_digest(casted.batch) for casted in stream), RowDigest())
            return {"source": digest}, stream.result().rows + stream.result().rejected
    raise AssertionError("attempts() gives at least one try")  # pragma: no cover
