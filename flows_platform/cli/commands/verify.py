"""`flows verify`, `reprocess` and `history`: compare windows, cast their rejects again, show their history."""

from collections.abc import Sequence

from flows_platform.cli.commands.terminal import progress_bar, say
from flows_platform.components.catalog import table_named
from flows_platform.orchestration.automation.requests import utc_now
from flows_platform.orchestration.resources import build_resources
from flows_platform.pipeline.compare import Comparison, compare_counts, compare_rows
from flows_platform.settings import load_settings
from flows_platform.window_files.ledger import Withheld, as_dict, ledger_of


def run_verify(table: str | None, keys: Sequence[str], *, by_rows: bool) -> bool:
    """Compare the windows `keys` of a table, or all, and say which differ or wait; True if none do.

    Raises:
        ConfigurationError: there is no such table, or a key is not one of its windows.
        PlatformError: the source or the warehouse gives no answer.
    """
    settings = load_settings()
    declared = table_named(table, settings)
    windows = [declared.grid.from_key(key) for key in keys] or [*declared.calendar.ended(utc_now())]
    resources = build_resources(settings)
    differing = rows = unknown = 0
    with declared.pipeline(*resources) as pipeline, progress_bar("Comparing", "windows") as progress:
        pipeline.warehouse.ensure_table(pipeline.table)
        comparisons = compare_rows(pipeline, windows) if by_rows else compare_counts(pipeline, declared.grid, windows)
        for done, comparison in enumerate(comparisons, start=1):
            progress(done, len(windows))
            rows += comparison.records
            differing += bool(comparison.difference)
            unknown += not comparison.is_compared
            _say_what_differs(comparison)
    how = "by digest" if by_rows else "by count"
    compared = "1 window" if len(windows) == 1 else f"{len(windows)} windows"
    say(f"{compared}, {rows:,} records compared {how}; {differing} differ{_not_compared(unknown)}.")
    return not differing and not unknown


def _say_what_differs(comparison: Comparison) -> None:
    key = comparison.window.key
    if not comparison.is_compared and not comparison.difference:
        say(f"UNKNOWN  {key}: it was never fetched here, and the source gives no count; --rows compares it.")
    elif comparison.waits:
        say(f"WAITS    {key}: {comparison.difference}")
    elif comparison.difference:
        say(f"DIFFERS  {key}: {comparison.difference}")


def _not_compared(windows: int) -> str:
    return f", {windows} could not be compared" if windows else ""


def run_reprocess(table: str | None, keys: Sequence[str], *, confirm: bool) -> bool:
    """Cast the quarantined records of the windows `keys` again, publish the windows, and say what was recovered.

    True if all are published: without `confirm` a window that lost rows waits for a second pull.

    Raises:
        ConfigurationError: there is no such table, or a key is not one of its windows.
        PlatformError: a window was never fetched, or the warehouse gives no answer.
    """
    settings = load_settings()
    declared = table_named(table, settings)
    windows = [declared.grid.from_key(key) for key in keys]
    waiting = 0
    with (
        declared.pipeline(*build_resources(settings)) as pipeline,
        progress_bar("Reprocessing", "windows") as progress,
    ):
        pipeline.warehouse.ensure_table(pipeline.table)
        for done, window in enumerate(windows, start=1):
            reprocessed = pipeline.reprocess(window)
            published = pipeline.publish(window, run="reprocess", confirm=confirm)
            progress(done, len(windows))
            say(f"{window.key}: {reprocessed.recovered:,} recovered, {reprocessed.rejected:,} still rejected")
            if isinstance(published, Withheld):
                waiting += 1
                say(f"WAITS    {window.key}: {published.story} --confirm publishes what was pulled.")
    return not waiting


def run_history(table: str | None, key: str) -> None:
    """Print the ledger's entries of the window `key`, oldest first.

    Raises:
        ConfigurationError: there is no such table, or the key is not one of its windows.
    """
    declared = table_named(table, load_settings())
    window = declared.grid.from_key(key)
    entries = ledger_of(declared.folder).history(window.key)
    for entry in entries:
        say(", ".join(f"{name} {value}" for name, value in as_dict(entry).items()))
    if not entries:
        say(f"{key} was never fetched.")
