"""Fetch a window into its file, publish it to the warehouse, and compare it with the source. No Dagster."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from pathlib import Path

from flows_platform.domain.errors import InputError
from flows_platform.domain.progress import Progress, silent
from flows_platform.domain.schema import WarehouseTable
from flows_platform.domain.shrinking import USUAL, ShrinkRule
from flows_platform.domain.windows import Window, WindowGrid
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.count import count_records
from flows_platform.fetch.http.client import HttpClient
from flows_platform.pipeline.fetch_window import FetchedWindow, fetch_window
from flows_platform.pipeline.reprocess import Reprocessed, reprocess_quarantine
from flows_platform.reports.versions import Versions
from flows_platform.warehouse.replace_window import Publication, Published
from flows_platform.warehouse.warehouse import Warehouse, WindowSummary
from flows_platform.window_files.check import check_window_file
from flows_platform.window_files.ledger import Committed, Fetched, Ledger, RecordedFile, Recovered, Withheld, ledger_of
from flows_platform.window_files.parquet import OpenFile, footer_of, opened
from flows_platform.window_files.profile import ProfilePlan
from flows_platform.window_files.raw_answers import RawPulls, sweep_pulls
from flows_platform.window_files.window_file import WindowFile

FETCH_AGAIN = "Fetch the window again: materialise it, or its window file alone."


def utc_now() -> datetime:
    """The default clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """A window's numbers of records at the source and in its file, and a summary of its rows in the warehouse.

    `source` is None if the source gives no count. `withheld` is set if the file waits for a confirmation.
    """

    source: int | None
    file_rows: int
    rejected: int
    deduplicated: int
    warehouse: WindowSummary
    withheld: Withheld | None = None

    @property
    def agree(self) -> bool:
        """Whether the file is published, the source counts the records received, and the warehouse the file's rows."""
        records = self.file_rows + self.rejected + self.deduplicated
        return self.withheld is None and self.source in {None, records} and self.file_rows == self.warehouse.rows

    @property
    def in_window(self) -> bool:
        return self.warehouse.misplaced == 0

    @property
    def unique(self) -> bool:
        return self.warehouse.distinct_keys == self.warehouse.rows


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowFetch:
    """Fetches windows of an API into files in `folder`, with a ledger beside them.

    If `raw_pulls` is set, the API's answers are kept there as they came, for `keep_raw`. `profile` says what to count
    of a window while its file is written. `now` is the real time, which dates the ledger's entries.
    """

    api: WindowedApi
    client: HttpClient
    folder: Path
    tries: int = 5
    max_rejected: int = 0
    max_rejected_share: float = 1.0
    raw_pulls: Path | None = None
    keep_raw: timedelta | None = None
    profile: Callable[[Window], ProfilePlan] | None = None
    now: Callable[[], datetime] = utc_now

    @property
    def ledger(self) -> Ledger:
        return ledger_of(self.folder)

    def path(self, window: Window) -> Path:
        """Path of the window file; its name is the window's key without colons."""
        return self.folder / f"{window.key.replace(':', '')}.parquet"

    def fetch(self, window: Window, progress: Progress = silent) -> FetchedWindow:
        """Stream the window from the API into its file; progress in records."""
        pulls = RawPulls(self.raw_pulls, window.key) if self.raw_pulls else None
        fetched = fetch_window(
            self.client,
            self.api,
            window,
            self.path(window),
            max_rejected=self.max_rejected,
            max_rejected_share=self.max_rejected_share,
            tries=self.tries,
            progress=progress,
            tee=lambda: pulls.page() if pulls else nullcontext,
            profile=self._plan(window),
        )
        file, answers = fetched.file, fetched.answers
        if pulls:
            pulls.forget_after(answers.requests)
        # guard: fetches are in the ledger
        self.ledger.record(
            Fetched(
                window=window.key,
                at=self._at(),
                request=fetched.url,
                format=answers.format or "",
                verification=answers.level.label,
                received_bytes=answers.received_bytes,
                rows=file.rows,
                rejected=file.rejected,
                deduplicated=file.deduplicated,
                file_sha256=file.sha256,
            )
        )
        return fetched

    def _plan(self, window: Window) -> ProfilePlan | None:
        return self.profile(window) if self.profile else None

    def _at(self) -> str:
        """The time of a ledger entry."""
        return self.now().isoformat(timespec="microseconds")

    def sweep_pulls(self, now: datetime) -> int:
        """Remove the answers of pulls older than `keep_raw`, and return the number of these pulls."""
        return sweep_pulls(self.raw_pulls, self.keep_raw, now) if self.raw_pulls and self.keep_raw else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowPipeline(WindowFetch):
    """Fetches, publishes and counts the windows of one table. Every step may be repeated: it replaces its own result.

    `shrink` says which windows may lose rows only if a second pull confirms it. `versions` has the version of the
    table's data, which every publication changes.
    """

    table: WarehouseTable
    warehouse: Warehouse
    shrink: ShrinkRule = USUAL
    versions: Versions | None = None

    def changing(self, table: str, window: Window) -> AbstractContextManager[None]:
        """The block in which a window of a table is replaced."""
        return self.versions.changing(table, window) if self.versions else nullcontext()

    def held(self, grid: WindowGrid, windows: Sequence[Window]) -> dict[Window, int]:
        """The warehouse's number of rows in each of these windows, which are in order; one query.

        A window of a snapshot that has no rows yet holds as many as the newest one before it: it has the same list.
        """
        if not windows:
            return {}
        first = grid.start if self.api.snapshot else windows[0].start
        counts = self.warehouse.window_counts(self.table, grid, Window(first, windows[-1].end))
        if not self.api.snapshot:
            return {window: counts.get(window, 0) for window in windows}
        before = {window: [counts[held] for held in sorted(counts) if held <= window] for window in windows}
        # guard: a snapshot is compared with the list before it
        return {window: rows[-1] if rows else 0 for window, rows in before.items()}

    def publish(
        self, window: Window, run: str, *, confirm: bool = False, held: int | None = None
    ) -> Published | Withheld:
        """Replace the window in the warehouse with the rows of its file, or withhold the file if rows would be lost.

        A withheld file is published once a later pull gives the same, or at once if a person confirms it (`confirm`).
        `held` is the warehouse's number of rows in the window; if it is None they are counted.

        Raises:
            InputError: the window was not fetched yet, its file is not the one that was fetched, or has rows that do
                not belong to the window.
        """
        with self._proven(window) as (opened_file, recorded):
            file = check_window_file(self.table, window, opened_file, recorded.rows[opened_file.sha256])
        if not confirm:
            held = self.warehouse.count(self.table, window) if held is None else held
            pulled = recorded.pulled
            found = Withheld(window.key, self._at(), run, file.sha256, file.rows, held, pulled, since=pulled)
            # guard: a window that shrinks is withheld
            if withheld := self._withheld(found):
                self.ledger.record(withheld)
                return withheld
        # guard: a publication gives another version
        with self.changing(self.table.name, window):
            published = self.warehouse.replace_window(Publication(self.table, window, file, run))
        # guard: publications are in the ledger
        self.ledger.record(
            Committed(
                window=window.key,
                at=self._at(),
                run=run,
                file_sha256=file.sha256,
                load_job=published.load_job,
                merge_job=published.merge_job,
                rows_committed=published.inserted,
                rows_replaced=published.deleted,
            )
        )
        return published

    def counts(self, window: Window) -> WindowCounts:
        """Count the window at the source, in its file and in the warehouse."""
        with self._proven(window) as (opened_file, _):
            footer = opened_file.footer
        return WindowCounts(
            withheld=self.ledger.waiting().get(window.key),
            source=self.source_count(window),
            file_rows=footer.rows,
            rejected=footer.rejected,
            deduplicated=footer.deduplicated,
            warehouse=self.warehouse.window_summary(self.table, window),
        )

    def source_count(self, window: Window) -> int | None:
        """The source's current count of the window, in rows; None if it gives no count that ours must equal.

        The window's fetch noted how far the two differ: the source may count records of neighbouring windows, or
        parents instead of rows. Records of a moving table may have left the window since, so its count says nothing,
        and a snapshot's list of now is not that of the window.
        """
        if self.shrink.moving or self.api.snapshot:
            return None
        count, path = count_records(self.client, self.api, window, tries=self.tries), self.path(window)
        return count - footer_of(path).beside if count is not None and path.exists() else count

    def reprocess(self, window: Window, progress: Progress = silent) -> Reprocessed:
        """Cast the window's quarantined records again and merge the good ones into its file; fetches nothing.

        Raises:
            InputError: the window was not fetched yet, or its file is not the one that was fetched.
        """

        def record(reprocessed: Reprocessed, file: WindowFile) -> None:
            self.ledger.record(
                Recovered(
                    window=window.key,
                    at=self._at(),
                    recovered=reprocessed.recovered,
                    rejected=reprocessed.rejected,
                    rows=reprocessed.rows,
                    file_sha256=file.sha256,
                )
            )

        return reprocess_quarantine(
            self.api,
            window,
            self.proven_path(window),
            progress=progress,
            merged=record,
            profile=self._plan(window),
        )

    def proven_path(self, window: Window) -> Path:
        """Path of the window file, once its bytes are proven to be those that were written.

        Raises:
            InputError: the window was not fetched yet, or its file is not the one that was fetched.
        """
        with self._proven(window) as (file, _):
            return file.path

    @contextmanager
    def _proven(self, window: Window) -> Iterator[tuple[OpenFile, RecordedFile]]:
        """The window file, open and proven to be the one in the ledger."""
        path = self.path(window)
        if not path.exists():
            raise InputError(f"the window {window.key} has no file {path}.", remedy="Fetch it first.")
        recorded = self.ledger.window_files(window.key).get(window.key)
        # guard: a window file that the ledger does not know
        if recorded is None:
            raise InputError(f"the ledger has no fetch that made {path}.", remedy=FETCH_AGAIN)
        with opened(path) as file:
            # guard: a window file is the one that was fetched
            if file.sha256 not in recorded.rows:
                raise InputError(
                    f"{path} is not the file that was fetched: its SHA-256 is {file.sha256}, the ledger's "
                    f"{recorded.digest}.",
                    remedy=FETCH_AGAIN,
                )
            yield file, recorded

    def _last_list(self, waiting: Mapping[str, Withheld]) -> Withheld | None:
        """The last list that waits, of any window; None if one was published after it."""
        published = self.ledger.last_committed()
        entries = [entry for entry in waiting.values() if entry.at > published]
        return max(entries, key=attrgetter("pulled"), default=None)

    def _withheld(self, found: Withheld) -> Withheld | None:
        """The entry, with the date of the first pull in a row that gave the same; None if the file may be published."""
        if not self.shrink.shrinks(found.rows_held, found.rows):
            return None
        waiting = self.ledger.waiting()
        before = self._last_list(waiting) if self.shrink.snapshot else waiting.get(found.window)
        # guard: only the same answer confirms
        if before and self.shrink.says_the_same(before.rows, found.rows):
            found = replace(found, since=before.since)
        # guard: a second pull comes an hour later
        confirmed = datetime.fromisoformat(found.pulled) >= found.first_said + self.shrink.pause
        return None if confirmed else found
