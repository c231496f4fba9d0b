"""Whether windows are the same at the source, in their staged files and in the warehouse: by count, or row by row.

`compare_counts` asks the source by HEAD and the warehouse by one query for all windows. `compare_rows` streams each
window afresh and compares order-independent digests, so that it also sees a changed value.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flows_platform.domain.verification import RowDigest
from flows_platform.domain.windows import Window, WindowGrid
from flows_platform.fetch.records import WindowStream
from flows_platform.fetch.retry import attempts
from flows_platform.pipeline import WindowPipeline
from flows_platform.stores.parquet import file_digest, staged_facts
from flows_platform.wire.row_digest import batch_digest

PLACES = ("source", "staged file", "warehouse")


@dataclass(frozen=True, slots=True)
class Comparison:
    """One window in the three places; a window without a staged file has no rows there.

    `source` is None where the source tells no count. `set_aside` counts records of the source that are no rows of the
    file: rejected ones, and repeats.

    `digests` are those of source, file and warehouse, or None where only counts were compared.
    """

    window: Window
    source: int | None
    staged: int
    set_aside: int
    warehouse: int
    digests: tuple[RowDigest, RowDigest, RowDigest] | None = None

    @property
    def records(self) -> int:
        """What the source sends: as it counts them, else as they were received."""
        return self.staged + self.set_aside if self.source is None else self.source

    @property
    def difference(self) -> str:
        """What differs, in words; empty where nothing does."""
        if self.source is not None and self.source != self.staged + self.set_aside:
            return f"source {self.source:,} records, staged file {self.staged:,} rows and {self.set_aside:,} set aside"
        if self.staged != self.warehouse:
            return f"staged file {self.staged:,} rows, warehouse {self.warehouse:,}"
        if self.digests and len(set(self.digests)) > 1:
            named = zip(PLACES, self.digests, strict=True)
            return "other values: " + ", ".join(f"{place} {digest}" for place, digest in named)
        return ""


def compare_counts(pipeline: WindowPipeline, grid: WindowGrid, windows: Sequence[Window]) -> Iterator[Comparison]:
    """Compare each window by count alone."""
    held = pipeline.warehouse.window_counts(pipeline.table, grid)
    for window in windows:
        source = pipeline.source_count(window)
        yield Comparison(window, source, *_staged(pipeline, window), held.get(window, 0))


def compare_rows(pipeline: WindowPipeline, windows: Sequence[Window]) -> Iterator[Comparison]:
    """Compare each window row by row, by digest; the source streams it once more."""
    for window in windows:
        source, received = _source_digest(pipeline, window)
        staged, set_aside = _staged(pipeline, window)
        path = pipeline.path(window)
        file = file_digest(path) if path.exists() else RowDigest()
        warehouse = pipeline.warehouse.digest(pipeline.table, window)
        yield Comparison(window, received, staged, set_aside, warehouse.count, (source, file, warehouse))


def _staged(pipeline: WindowPipeline, window: Window) -> tuple[int, int]:
    """Rows of the window's staged file, and records set aside; none where it was not fetched."""
    path = pipeline.path(window)
    facts = staged_facts(path) if path.exists() else None
    return (facts.rows, facts.rejected + facts.deduplicated) if facts else (0, 0)


def _source_digest(pipeline: WindowPipeline, window: Window) -> tuple[RowDigest, int]:
    """The digest of the source's good records, and the number of all."""
    for attempt in attempts(pipeline.tries):
        with attempt:
            stream = WindowStream(pipeline.client, pipeline.api, window)
            digest = sum((batch_digest(casted.batch) for casted in stream.batches()), RowDigest())
            return digest, stream.records
    raise AssertionError("attempts() gives at least one try")  # pragma: no cover
