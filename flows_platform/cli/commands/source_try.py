"""`flows source try`: fetches one window of a source as a run would, explains the result, and publishes nothing."""

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq

from flows_platform.cli.commands.terminal import progress_bar, say
from flows_platform.columns.mapping import UNTAKEN
from flows_platform.components.catalog import table_at, table_named
from flows_platform.domain.errors import ConfigurationError, PlatformError
from flows_platform.domain.redaction import Redactor
from flows_platform.domain.windows import Window
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.trace import Trace
from flows_platform.orchestration.resources import build_resources
from flows_platform.orchestration.table import WindowedTable
from flows_platform.pipeline.fetch_window import FetchedWindow, fetch_window
from flows_platform.settings import Settings, load_settings
from flows_platform.window_files.quarantine import quarantine_path, read_quarantine

FAILED, WRONG_USE = 1, 2
REASONS = 10  # the most frequent reasons of rejects, which are shown
LIST_OF_NOW = "this is the list of now, which a run stores under the newest closed window alone"
SUFFIXES = {".yaml", ".yml"}


@dataclass(slots=True)
class Tried:
    """One try: its requests and its result. Its fields are the members of the JSON output."""

    window: str
    requests: list[dict[str, object]] = field(default_factory=list)
    ended: str = ""
    records: int = 0
    rows: int = 0
    rejected: int = 0
    rejects: list[dict[str, object]] = field(default_factory=list)
    deduplicated: int = 0
    verification: str = ""
    note: str = ""
    unread: list[str] = field(default_factory=list)
    columns_not_taken: list[str] = field(default_factory=list)
    out: str | None = None
    error: dict[str, str] | None = None


def run_try(source: str, key: str, *, limit: int | None, out: Path | None, as_json: bool) -> int:
    """Fetch the window `key` of `source` and print the result; returns the exit code.

    `source` is a table's name or the path of a YAML file. The rows go to `out`, if it is given.
    """
    tried, trace, redactor = Tried(key), Trace(), Redactor()
    code = 0
    try:
        table = _table(source, load_settings())
        api = table.api()
        redactor = api.redactor
        _try(table, api, tried, trace, limit=limit, out=out)
    except Exception as error:  # noqa: BLE001 - any error is the result
        tried.error = _described(error, redactor)
        code = WRONG_USE if isinstance(error, ConfigurationError) else FAILED
    tried.requests = [asdict(request) for request in trace.requests]
    tried.ended, tried.unread = trace.ended, list(trace.unread)
    say(redactor(_as_json(tried) if as_json else "\n".join(_as_text(tried))))
    return code


def _table(source: str, settings: Settings) -> WindowedTable:
    path = Path(source)
    if path.is_dir():
        raise ConfigurationError(
            f"{source} is a folder.", remedy="Name one file in it, or the table that the file declares."
        )
    by_path = path.suffix.lower() in SUFFIXES or path.is_file()
    return table_at(path, settings) if by_path else table_named(source, settings)


def _try(
    table: WindowedTable, api: WindowedApi, tried: Tried, trace: Trace, *, limit: int | None, out: Path | None
) -> None:
    now = datetime.now(UTC)
    window = _window(table, tried.window, now)
    fetch = build_resources(load_settings()).fetch
    with (
        fetch.client(api, table.gate) as client,
        closing(client),
        _target(out) as target,
        progress_bar("Fetching", "records") as progress,
    ):
        fetched = fetch_window(
            client,
            api,
            window,
            target,
            max_rejected=fetch.max_rejected,
            max_rejected_share=fetch.max_rejected_share,
            tries=fetch.tries,
            progress=progress,
            trace=trace,
            limit=limit,
        )
        _note(tried, fetched, api)
        if table.snapshot and not table.calendar.is_newest(window, now):
            tried.note = "; ".join(filter(None, [tried.note, LIST_OF_NOW]))
        tried.out = str(out) if out else None


def _window(table: WindowedTable, key: str, now: datetime) -> Window:
    """The window of that key, which a run could fetch, or which is not over yet.

    Raises:
        ConfigurationError: the key is not that of a window, or the window is outside the declared ones.
    """
    window, first, end = table.grid.from_key(key), table.grid.floor(table.grid.start), table.calendar.end
    # guard: only declared windows are tried
    if window.start < first.start or (end and window.start >= end):
        raise ConfigurationError(
            f"the window {key} is outside the declared ones, the first of which is {first.key}"
            f"{f', and which end at {end:%Y-%m-%d %H:%M} UTC' if end else ''}.",
            remedy="Choose another window, or change `partitions`.",
        )
    if window.start > now:
        raise ConfigurationError(
            f"the window {key} begins in the future.", remedy=f"Choose one up to {table.grid.floor(now).key}."
        )
    return window


@contextmanager
def _target(out: Path | None) -> Iterator[Path]:
    """The file for the rows: `out`, or a temporary one."""
    if out:
        yield out
        return
    with tempfile.TemporaryDirectory(prefix="flows-try-") as folder:
        yield Path(folder) / "window.parquet"


def _note(tried: Tried, fetched: FetchedWindow, api: WindowedApi) -> None:
    file, answers = fetched.file, fetched.answers
    tried.records, tried.rows = file.received, file.rows
    tried.rejected, tried.deduplicated = file.rejected, file.deduplicated
    tried.verification, tried.note = answers.level.label, answers.level_reason
    reasons = Counter(reject.reason for reject in read_quarantine(quarantine_path(file.location)))
    tried.rejects = [{"reason": reason, "records": count} for reason, count in reasons.most_common(REASONS)]
    tried.columns_not_taken = _not_taken(file.location, api.extra_column)


def _not_taken(path: Path, extra: str | None) -> list[str]:
    """The names and paths in the column for unknown fields, read batch by batch."""
    names: set[str] = set()
    if extra:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=[extra]):
                for text in batch.column(0).drop_null().unique().to_pylist():
                    names.update(name.removeprefix(UNTAKEN) for name in json.loads(text))
    return sorted(names)


def _described(error: Exception, redactor: Redactor) -> dict[str, str]:
    message, remedy = (error.message, error.remedy) if isinstance(error, PlatformError) else (str(error), "")
    return {"type": type(error).__name__, "message": redactor(message), "remedy": redactor(remedy)}


def _as_json(tried: Tried) -> str:
    members = asdict(tried)
    if tried.error is None:
        del members["error"]
    return json.dumps(members)


def _as_text(tried: Tried) -> Iterator[str]:
    yield f"Window        {tried.window}"
    for request in tried.requests:
        yield f"Request       {request['status']}, {request['records']:,} records: {request['url']}"
    if tried.error:
        yield f"Failed        {tried.error['type']}: {tried.error['message']} {tried.error['remedy']}".rstrip()
        return
    yield f"Paging ended  {tried.ended or 'one page, as declared'}"
    yield (
        f"Records       {tried.records:,}: {tried.rows:,} rows, {tried.rejected:,} rejected, "
        f"{tried.deduplicated:,} repeated"
    )
    for rejects in tried.rejects:
        yield f"Rejected      {rejects['records']:,}: {rejects['reason']}"
    yield f"Not read      {', '.join(tried.unread) or 'nothing around the records'}"
    yield f"Not taken     {', '.join(tried.columns_not_taken) or 'every field has a column'}"
    yield f"Verification  {tried.verification}{tried.note and f' ({tried.note})'}"
    if tried.out:
        yield f"Rows          {tried.out}"
