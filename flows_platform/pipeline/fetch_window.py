"""Fetch one window from the API into one Parquet file, which is complete and verified, or absent."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from flows_platform.domain.errors import SourceRefused, StreamIncomplete, TooManyRejects
from flows_platform.domain.progress import Progress, silent
from flows_platform.domain.schema import TableSchema
from flows_platform.domain.windows import Window
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.backoff import attempts
from flows_platform.fetch.fetch_plan import FetchPlan, FetchResult, Tee
from flows_platform.fetch.http.client import HttpClient
from flows_platform.fetch.trace import Trace
from flows_platform.fetch.window_stream import WindowStream
from flows_platform.runtime.atomic_files import atomic_path
from flows_platform.window_files.duplicates import NONE, Key, PullAccount, Repeats, drop_repeats
from flows_platform.window_files.parquet import Footer, ParquetSink
from flows_platform.window_files.profile import ProfilePlan, Profiler
from flows_platform.window_files.quarantine import QuarantineSink, quarantine_path
from flows_platform.window_files.window_file import WindowFile

MORE_REJECTS = 100_000  # above the number allowed: then the fetch stops, before rejects fill the disk


@dataclass(frozen=True, slots=True)
class FetchedWindow:
    """One fetch of a window: the file, and what is known of the answers.

    `url` is the request without its secrets. Try number `tries` succeeded and took `seconds`.
    """

    file: WindowFile
    answers: FetchResult
    url: str
    seconds: float
    tries: int


@dataclass(frozen=True, slots=True)
class RejectLimits:
    """How many records of a window may be rejected: a number, and a share of the records received (0 to 1)."""

    number: int = 0
    share: float = 1.0

    def require(self, rejects: QuarantineSink, received: int, url: str, quarantine: Path) -> None:
        """Refuse a window with more rejects than allowed.

        Raises:
            TooManyRejects: there are more.
        """
        # guard: share of rejects allowed
        first, allowed = rejects.first, min(self.number, int(self.share * received))
        # guard: rejects allowed
        if first and rejects.count > allowed:
            raise TooManyRejects(
                f"{rejects.count:,} records of {url} do not fit the schema, {allowed:,} are allowed; the first is "
                f"record {first.position:,}: {first.reason}.",
                remedy=f"They are kept in {quarantine}. Correct the source, or allow more rejected records.",
            )


def fetch_window(
    client: HttpClient,
    api: WindowedApi,
    window: Window | None,
    target: Path,
    *,
    max_rejected: int = 0,
    max_rejected_share: float = 1.0,
    tries: int = 5,
    progress: Progress = silent,
    tee: Callable[[], Tee] = lambda: nullcontext,
    trace: Trace | None = None,
    limit: int | None = None,
    profile: ProfilePlan | None = None,
) -> FetchedWindow:
    """Fetch the window into `target`; progress in records.

    The file appears, or is replaced, once all its records are verified. Rejected records go to a file beside it
    (`quarantine_path`), even if there are too many of them. The client's deadline limits all tries together.

    `window` is None for all records of the source. `tee` is called for each try; its result may copy the try's pages.
    `trace` notes requests and answers. `limit` takes only that many records, and then nothing is verified. `profile`
    says what to count while the file is written.

    Raises:
        Transient: the source failed `tries` times.
        TooManyRejects: more than `max_rejected` records, or than that share of them, do not fit the schema.
        Terminal: the source refused, or the file cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    limits, deadline, seen = RejectLimits(max_rejected, max_rejected_share), client.deadline(), trace or Trace(kept=1)
    known: dict[Key, bytes] = {}
    fetched_at = datetime.now(UTC)  # the same for all tries: a record that repeats in two of them must stay the same
    for attempt in attempts(tries, within=client.limits.total):
        # guard: secrets leave no error of a fetch
        with attempt, api.redactor.errors():
            plan = FetchPlan(client, api, window, progress, deadline, tries, tee(), seen, limit, fetched_at)
            return _fetch_once(plan, target, limits, known, number=attempt.num, profile=profile)
    raise AssertionError("attempts() gives at least one try")  # pragma: no cover


def _fetch_once(
    plan: FetchPlan,
    target: Path,
    limits: RejectLimits,
    known: dict[Key, bytes],
    *,
    number: int,
    profile: ProfilePlan | None,
) -> FetchedWindow:
    started, api, quarantine = time.monotonic(), plan.api, quarantine_path(target)
    profiler = partial(Profiler.of, profile, api.schema)
    with atomic_path(target) as temporary:
        sink = ParquetSink(temporary, api.schema, profiler())
        with PullAccount(api.schema, target.parent, counting=api.counts_rows) as account:
            stream = WindowStream(plan)
            rejects = _drain(stream, sink, account, quarantine, most=limits.number + MORE_REJECTS)
            limits.require(rejects, sink.rows + rejects.count, plan.url, quarantine)
            result = stream.result()
            repeats = NONE if sink.keys_rise else _without_repeats(temporary, api.schema, account, profiler)
            if result.complete:
                again = repeats.dropped - repeats.between_pulls + account.repeats()
                _require_distinct(result, repeats, again, known, by_row=api.counts_rows)
    file = (repeats.sink or sink).window_file(plan.window, target)
    return FetchedWindow(file, result, plan.url, time.monotonic() - started, number)


def _without_repeats(
    path: Path, schema: TableSchema, account: PullAccount, profiler: Callable[[], Profiler | None]
) -> Repeats:
    """Drop repeats; records that contradict each other may be one that changed during the pull, so pull again."""
    try:
        return drop_repeats(path, schema, account.pages, profiler, pulls=account.pulls)
    except SourceRefused as error:
        raise StreamIncomplete(error.message, remedy=error.remedy) from error


def _require_distinct(
    result: FetchResult, repeats: Repeats, number: int, known: dict[Key, bytes], *, by_row: bool
) -> None:
    """Refuse a pull whose pages moved while they were read; `number` records came more than once in a pull.

    With a total, the number of distinct records must equal it; `by_row` says that it counts rows. Without a total, a
    record that repeats in this pull and repeated in an earlier one, with the same content (`known`), counts once.

    Raises:
        StreamIncomplete: another pull is needed.
    """
    total, came = result.total, result.counted + result.surplus
    if total is not None and by_row:
        # guard: a total counts different records
        if number != result.surplus:
            more = (
                f", {number:,} of them more than once: the pages moved while they were read, or repeat"
                if number
                else ""
            )
            raise StreamIncomplete(f"the source declares {total:,} records in all, but {came:,} came{more}.")
        return
    if total is not None and result.surplus:
        raise StreamIncomplete(f"the source declares {total:,} records in all, but {came:,} came.")
    fresh = {key: content for key, content in repeats.across.items() if known.get(key) != content}
    known.update(fresh)
    # guard: a repeat on another page is pulled again
    if fresh or (total is not None and repeats.across):
        raise StreamIncomplete(
            f"{len(repeats.across):,} records came again on a later page, such as {next(iter(repeats.across))}: the "
            "pages moved while they were read, or overlap.",
            remedy="The window is pulled again: without a total, records that repeat there too count once.",
        )


def _drain(
    stream: WindowStream, sink: ParquetSink, account: PullAccount, quarantine: Path, *, most: int
) -> QuarantineSink:
    """Write good records to the Parquet file and bad ones to the quarantine, which is complete on its own.

    The Parquet file holds the quarantine's digest, since the two files cannot be replaced in one step. Stops after
    `most` rejects; then the stream has no result.
    """
    with atomic_path(quarantine) as temporary, temporary.open("wb") as file, sink:
        rejects = QuarantineSink(file, stream.plan.api.redactor)
        for casted in stream:
            account.add(casted, stream.page, stream.range, stream.pull)
            sink.write(casted.batch)
            rejects.write(casted.rejects)
            # guard: rejects beyond all measure
            if rejects.count > most:
                break
        else:
            sink.footer = Footer(
                rejected=rejects.count,
                quarantine=rejects.sha256,
                beside=stream.result().beside,
                fetched_at=stream.fetched_at,
                values=stream.result().pulls,
                values_sha256=values.sha256 if (values := stream.plan.api.values) else "",
            )
    if not rejects.count:
        quarantine.unlink(missing_ok=True)
    return rejects
