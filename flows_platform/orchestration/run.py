"""The windows of one run: the next one is fetched while one is published, and results are recorded at once."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import dagster as dg

from flows_platform.domain.errors import ConfigurationError, PlatformError
from flows_platform.domain.windows import Window
from flows_platform.orchestration.checks import evaluations
from flows_platform.orchestration.metadata import figures
from flows_platform.orchestration.metadata.charts import file_charts, table_charts
from flows_platform.orchestration.run_progress import RunProgress
from flows_platform.orchestration.table import Fill, WindowedTable
from flows_platform.orchestration.under_way import UnderWay
from flows_platform.orchestration.window_history import WindowRuns
from flows_platform.pipeline.attempt import Done, Failed, Stage, Streak, attempt
from flows_platform.runtime.read_ahead import read_ahead
from flows_platform.window_files.ledger import Withheld

if TYPE_CHECKING:
    from flows_platform.pipeline.window_pipeline import WindowPipeline
    from flows_platform.warehouse.replace_window import Published

AHEAD = 1  # windows fetched while another is published: one fetch's memory and one connection at a time

# The figures of a window's materialisation, None where the files were not selected; or the window's failure.
type FileOutcome = Done[figures.Metadata | None] | Failed


class RunLeft(BaseException):
    """Ends the fetch of a window whose run was stopped."""


@dataclass(slots=True)
class WindowRun:
    """The windows of one run, published one after the other; `confirm` lets them lose rows."""

    context: dg.AssetExecutionContext
    table: WindowedTable
    pipeline: "WindowPipeline"
    fills: Mapping[dg.AssetKey, Fill]
    reprocess: bool = False
    confirm: bool = False
    failed: dict[str, PlatformError] = field(default_factory=dict)
    held: Mapping[Window, int] = field(default_factory=dict)  # rows in the warehouse before the run
    last: str = ""  # the run's last window, whose page shows the table's charts
    progress: RunProgress = field(init=False)
    streak: Streak = field(default_factory=Streak)
    _left: bool = False  # the run ends before its last window: nothing more is fetched

    def all_windows(self) -> Iterator[Any]:
        """Run every window. Yields nothing: a window's results are recorded as soon as they exist.

        Raises:
            dg.Failure: some windows failed; raised at the end, its metadata names them with their errors.
        """
        keys = self._under_way.suspects_last(self._wanted(self.context.partition_keys))
        self.last = keys[-1] if keys else ""
        self.progress = RunProgress(self.context.log.info, len(keys))
        windows = [self.table.grid.from_key(key) for key in keys]
        if self._selected(self.table.table_key):
            self.pipeline.warehouse.ensure_table(self.table.table)
            self.held = self.pipeline.held(self.table.grid, sorted(windows, key=attrgetter("start")))
        with closing(self._files(windows)) as files:
            try:
                for window, file in zip(windows, files, strict=True):
                    self._publish_and_note(window, file)
                    if self.streak.ends_the_run:
                        break
            finally:
                self._left = True  # before `closing`, which waits for a running fetch
        # guard: pulls kept where nothing comes
        if len(self.failed) < self.progress.done:  # if every window failed, the raw answers are kept for a look at them
            # guard: swept pulls
            self.pipeline.sweep_pulls(datetime.now(UTC))
        yield from ()
        self._raise_failed(keys)

    def _publish_and_note(self, window: Window, file: FileOutcome) -> None:
        outcome: Done[None] | Failed
        if isinstance(file, Failed):
            outcome = file
        else:
            outcome = self._attempt(window, Stage.PUBLISH, partial(self._one_window, window, file.result))
        if isinstance(outcome, Failed):
            self.failed[outcome.window.key] = outcome.error
            self.context.log.error("window %s failed: %s", outcome.window.key, outcome.error)
        self.streak.note(outcome)
        self.progress.window_done()

    def _attempt[T](self, window: Window, stage: Stage, work: Callable[[], T]) -> Done[T] | Failed:
        return attempt(window, stage, work, log=self.context.log.error, redact=self.pipeline.api.redactor)

    def _wanted(self, keys: Sequence[str]) -> list[str]:
        """The run's windows without those loaded since its request: schedule and sensors may request the same."""
        runs = WindowRuns(self.table, self.context.instance)
        asked = runs.asked_at(self.context.run)
        if asked is None:
            return list(keys)
        done = [key for key in keys if runs.is_loaded_since(self.table.grid.from_key(key), asked)]
        if done:
            self.context.log.info("loaded since they were requested: %s", ", ".join(done))
        # guard: windows loaded since they were asked for
        return [key for key in keys if key not in done]

    def _files(self, windows: Sequence[Window]) -> Generator[FileOutcome]:
        """The outcome of every window's file, in order; the next window is fetched in the meantime.

        Reprocessing does not run ahead: it is short, and it changes files that the warehouse may be reading.
        """
        if not self._selected(self.table.files_key):
            yield from [Done(None)] * len(windows)
            return
        files = map(self._attempt_file, windows)
        yield from files if self.reprocess else read_ahead(files, AHEAD)

    def _attempt_file(self, window: Window) -> FileOutcome:
        def work() -> figures.Metadata:
            with self._under_way.mark(window.key):
                return self._file(window)

        return self._attempt(window, Stage.REPROCESS if self.reprocess else Stage.FETCH, work)

    @property
    def _under_way(self) -> UnderWay:
        return UnderWay(self.table.locks / f"{self.table.name}.under_way")

    def _on_records(self, done: int, total: int | None) -> None:
        # guard: a stopped run fetches nothing more
        if self._left:
            raise RunLeft
        self.progress.on_records(done, total)

    def _one_window(self, window: Window, file: figures.Metadata | None) -> None:
        if file is not None:
            self._record(self.table.files_key, window, file)
        published = self._publish(window) if self._selected(self.table.table_key) else True
        if self.context.selected_asset_check_keys:
            self._check(window)
        if published:
            self._fill(window)

    def _fill(self, window: Window) -> None:
        for sink in self.table.sinks:
            if fill := self.fills.get(sink.key):
                shown = fill(window, self.context.run.run_id)
                drawn = sink.charts(self.pipeline, window) if sink.charts and window.key == self.last else {}
                self._record(sink.key, window, shown | drawn)

    def _file(self, window: Window) -> figures.Metadata:
        if self.reprocess:
            reprocessed = self.pipeline.reprocess(window, self._on_records)
            shown, profile = figures.reprocessed_metadata(reprocessed), reprocessed.profile
        else:
            self._require_its_list(window)
            fetched = self.pipeline.fetch(window, self._on_records)
            shown, profile = figures.file_metadata(self.table.table.schema, fetched), fetched.file.profile
        self.progress.window_received()
        return shown | (file_charts(self.table.table, self.table.charts, profile) if profile else {})

    def _require_its_list(self, window: Window) -> None:
        """Refuse to store the list of now under an earlier window, unless a person confirms it.

        Raises:
            ConfigurationError: a later window of a snapshot has closed.
        """
        now = self.table.instant(datetime.now(UTC))
        # guard: a list of now is not stored under an earlier window
        if self.table.snapshot and not self.confirm and not self.table.calendar.is_newest(window, now):
            newest = self.table.grid.closed(now, grace=self.table.calendar.grace)
            raise ConfigurationError(
                f"the API of {self.table.name} gives its list of now, which is that of the window {newest.key}: the "
                f"list of {window.key} can no longer be fetched.",
                remedy="To store the list of now under this window, run it with the tag flows/confirm: true. To "
                "publish a list that was fetched in time, materialise the table without its window file.",
            )

    def _publish(self, window: Window) -> bool:
        """Replace the window in BigQuery; False if it waits for a confirmation instead."""
        started = datetime.now(UTC)
        published = self.pipeline.publish(
            window, self.context.run.run_id, confirm=self.confirm, held=self.held.get(window)
        )
        if isinstance(published, Withheld):
            self.context.log.warning("window %s is not replaced. %s", window.key, published.story)
            return False
        self._record(self.table.table_key, window, self._published(window, published, started))
        return True

    def _published(self, window: Window, published: "Published", started: datetime) -> figures.Metadata:
        console = self.table.cloud_console
        shown = figures.published_metadata(published, started, datetime.now(UTC), console)
        if window.key != self.last:
            return shown
        return shown | table_charts(self.table.table, self.table.charts, window, self.pipeline.warehouse)

    def _selected(self, key: dg.AssetKey) -> bool:
        return key in self.context.selected_asset_keys

    def _record(self, key: dg.AssetKey, window: Window, shown: figures.Metadata) -> None:
        self.context.log_event(dg.AssetMaterialization(asset_key=key, partition=window.key, metadata=shown))

    def _check(self, window: Window) -> None:
        for evaluation in evaluations(self.table, window.key, self.pipeline.counts(window)):
            if evaluation.asset_check_key in self.context.selected_asset_check_keys:
                self.context.log_event(evaluation)

    def _raise_failed(self, keys: Sequence[str]) -> None:
        # guard: a failed window fails the run
        if self.failed:
            raise dg.Failure(
                f"{len(self.failed)} of {len(keys)} windows failed: {', '.join(self.failed)}.{self._others(keys)}",
                metadata={key: str(error) for key, error in self.failed.items()},
                allow_retries=False,
            )

    def _others(self, keys: Sequence[str]) -> str:
        """What became of the windows that did not fail; empty if there are no others."""
        rest = len(keys) - self.progress.done
        if self.streak.ends_the_run and rest:
            return f" The last {self.streak.length} failed alike, so the run ended: {rest} windows were not tried."
        return " The others are done." if len(self.failed) < len(keys) else ""
