"""One window's way: fetched into a staged file, published to the warehouse, verified against the source. No Dagster."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from flows_platform.domain.errors import InputError
from flows_platform.domain.progress import Progress, silent
from flows_platform.domain.schema import WarehouseTable
from flows_platform.domain.shrinking import USUAL, ShrinkRule
from flows_platform.domain.windows import Window, WindowGrid
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.count import count_records
from flows_platform.fetch.http.client import HttpClient
from flows_platform.pipeline.fetch_window import StagedWindow, stage_window
from flows_platform.pipeline.reprocess import Reprocessed, reprocess_quarantine
from flows_platform.runtime.atomic_files import sha256_file
from flows_platform.warehouse.replace_window import Publication, Published
from flows_platform.warehouse.warehouse import Warehouse, WindowSummary
from flows_platform.window_files.ledger import Committed, Fetched, Ledger, Recovered, StagedEntry, Withheld, ledger_of
from flows_platform.window_files.parquet import row_count, staged_facts
from flows_platform.window_files.raw_answers import RawPulls, sweep_pulls

FETCH_AGAIN = "Fetch the window again: materialise it, or its staged file alone."


def utc_now() -> datetime:
    """The clock of those who are given no other."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """A window's records in the three places it passes, and what the warehouse says of its rows.

    `source` is None where the source tells no count. `withheld` is set where the staged file waits for a confirmation.
    """

    source: int | None
    staged: int
    rejected: int
    deduplicated: int
    warehouse: WindowSummary
    withheld: Withheld | None = None

    @property
    def agree(self) -> bool:
        """Rows at the API = rows in Parquet (and set aside) = rows in BigQuery."""
        staged = self.staged + self.rejected + self.deduplicated
        return self.source in {None, staged} and self.staged == self.warehouse.rows

    @property
    def in_window(self) -> bool:
        return self.warehouse.misplaced == 0

    @property
    def unique(self) -> bool:
        return self.warehouse.distinct_keys == self.warehouse.rows


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowFetch:
    """The way's first half: windows of an API as staged files in `folder`, and a ledger beside them.

    With `raw_pulls` the API's answers are kept there as they came, for `keep_raw` where that is given. `now` is the
    wall's clock, by which the ledger's entries are dated.
    """

    api: WindowedApi
    client: HttpClient
    folder: Path
    tries: int = 5
    max_rejected: int = 0
    max_rejected_share: float = 1.0
    raw_pulls: Path | None = None
    keep_raw: timedelta | None = None
    now: Callable[[], datetime] = utc_now

    @property
    def ledger(self) -> Ledger:
        return ledger_of(self.folder)

    def path(self, window: Window) -> Path:
        """Where the window's staged file rests: colons are left out of its name."""
        return self.folder / f"{window.key.replace(':', '')}.parquet"

    def fetch(self, window: Window, progress: Progress = silent) -> StagedWindow:
        """Stream the window from the API into its staged file; progress in records."""
        pulls = RawPulls(self.raw_pulls, window.key) if self.raw_pulls else None
        staged = stage_window(
            self.client,
            self.api,
            window,
            self.path(window),
            max_rejected=self.max_rejected,
            max_rejected_share=self.max_rejected_share,
            tries=self.tries,
            progress=progress,
            tee=lambda: pulls.page() if pulls else nullcontext,
        )
        if pulls:
            pulls.forget_after(staged.requests)
        # guard: fetches are in the ledger
        self.ledger.record(
            Fetched(
                window=window.key,
                at=self._at(),
                request=staged.url,
                format=staged.format,
                verification=staged.verification.label,
                received_bytes=staged.received_bytes,
                rows=staged.rows,
                rejected=staged.rejected,
                deduplicated=staged.deduplicated,
                file_sha256=sha256_file(staged.path),
            )
        )
        return staged

    def _at(self) -> str:
        """When an entry is made."""
        return self.now().isoformat(timespec="microseconds")

    def sweep_pulls(self, now: datetime) -> int:
        """Remove the answers of pulls that are older than they are kept; gives the number of pulls."""
        return sweep_pulls(self.raw_pulls, self.keep_raw, now) if self.raw_pulls and self.keep_raw else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowPipeline(WindowFetch):
    """The windows of one table. Each step may be run again at any time: it replaces what it made before.

    `shrink` says which windows may lose rows only by a second pull. Records of a moving table may have left their
    window since it was fetched: the source's count of now says nothing of it.
    """

    table: WarehouseTable
    warehouse: Warehouse
    shrink: ShrinkRule = USUAL

    def held(self, grid: WindowGrid, windows: Sequence[Window]) -> dict[Window, int]:
        """The rows that the warehouse has of each of these windows, which are in order; one query."""
        if not windows:
            return {}
        counts = self.warehouse.window_counts(self.table, grid, Window(windows[0].start, windows[-1].end))
        return {window: counts.get(window, 0) for window in windows}

    def publish(
        self, window: Window, run: str, *, confirm: bool = False, held: int | None = None
    ) -> Published | Withheld:
        """Replace the window in the warehouse by its staged file; or keep the old rows where it would shrink.

        Such a file is published once a later pull says the same, or at once where a person may `confirm` it. `held` are
        the rows that the warehouse has of the window; where it is left out they are counted.

        Raises:
            InputError: the window was not fetched yet, or its file is not the one that was.
        """
        path, content, staged = self._proven(window)
        rows = row_count(path)
        if not confirm:
            held = self.warehouse.count(self.table, window) if held is None else held
            found = Withheld(window.key, self._at(), run, content, rows, held, staged.pulled, since=staged.pulled)
            # guard: a window that shrinks is withheld
            if withheld := self._withheld(found):
                self.ledger.record(withheld)
                return withheld
        published = self.warehouse.replace_window(Publication(self.table, window, path, rows, content, run))
        # guard: publications are in the ledger
        self.ledger.record(
            Committed(
                window=window.key,
                at=self._at(),
                run=run,
                file_sha256=content,
                load_job=published.load_job,
                merge_job=published.merge_job,
                rows_committed=published.inserted,
                rows_replaced=published.deleted,
            )
        )
        return published

    def counts(self, window: Window) -> WindowCounts:
        """Count the window afresh at the source, in the staged file and in the warehouse."""
        facts = staged_facts(self.staged(window))
        return WindowCounts(
            withheld=self.ledger.waiting().get(window.key),
            source=self.source_count(window),
            staged=facts.rows,
            rejected=facts.rejected,
            deduplicated=facts.deduplicated,
            warehouse=self.warehouse.window_summary(self.table, window),
        )

    def source_count(self, window: Window) -> int | None:
        """The source's count of the window, where it tells one that must be ours; in rows, as we count them.

        What it counts beside them was noted when the window was fetched: neighbours, and parents in the place of rows.
        """
        if self.shrink.moving:
            return None
        count, path = count_records(self.client, self.api, window, tries=self.tries), self.path(window)
        return count - staged_facts(path).beside if count is not None and path.exists() else count

    def reprocess(self, window: Window, progress: Progress = silent) -> Reprocessed:
        """Cast the window's quarantined records again and merge the good ones into its staged file; fetches nothing.

        Raises:
            InputError: the window was not fetched yet, or its file is not the one that was.
        """

        def record(reprocessed: Reprocessed, mended: Path) -> None:
            self.ledger.record(
                Recovered(
                    window=window.key,
                    at=self._at(),
                    recovered=reprocessed.recovered,
                    rejected=reprocessed.rejected,
                    rows=reprocessed.rows,
                    file_sha256=sha256_file(mended),
                )
            )

        return reprocess_quarantine(self.api, window, self.staged(window), progress=progress, merged=record)

    def staged(self, window: Window) -> Path:
        """The window's staged file, byte for byte as it was written.

        Raises:
            InputError: the window was not fetched yet, or its file is not the one that was.
        """
        return self._proven(window)[0]

    def _proven(self, window: Window) -> tuple[Path, str, StagedEntry]:
        """The staged file, its SHA-256, and what the ledger says of it."""
        path = self.path(window)
        if not path.exists():
            raise InputError(f"the window {window.key} has no staged file {path}.", remedy="Fetch it first.")
        content, entry = sha256_file(path), self.ledger.staged(window.key).get(window.key)
        # guard: a staged file that the ledger does not know
        if entry is None:
            raise InputError(f"the ledger has no fetch that made {path}.", remedy=FETCH_AGAIN)
        # guard: a staged file is the one that was fetched
        if content not in entry.digests:
            raise InputError(
                f"{path} is not the file that was fetched: its SHA-256 is {content}, the ledger's {entry.digests[-1]}.",
                remedy=FETCH_AGAIN,
            )
        return path, content, entry

    def _withheld(self, found: Withheld) -> Withheld | None:
        """What was found, dated back to the first in the row of pulls that said the same; None where it may go on."""
        if not self.shrink.shrinks(found.rows_held, found.rows):
            return None
        before = self.ledger.waiting().get(found.window)
        # guard: only the same answer confirms
        if before and self.shrink.says_the_same(before.rows, found.rows):
            found = replace(found, since=before.since)
        # guard: a second pull comes an hour later
        confirmed = datetime.fromisoformat(found.pulled) >= found.first_said + self.shrink.pause
        return None if confirmed else found
