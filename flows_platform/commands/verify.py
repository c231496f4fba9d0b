"""`flows verify`, `replay` and `history`: whether windows are the same everywhere, mending them, and their past."""

from collections.abc import Sequence

from flows_platform.commands.terminal import progress_bar, say
from flows_platform.comparison import compare_counts, compare_rows
from flows_platform.components.catalog import table_named
from flows_platform.resources import build_resources
from flows_platform.settings import load_settings
from flows_platform.stores.ledger import ledger_of, told


def run_verify(table: str, keys: Sequence[str], *, by_rows: bool) -> bool:
    """Compare the windows `keys` of a table, or all, and say which differ; True if none does.

    Raises:
        ConfigurationError: there is no such table, or a key names no window.
        PlatformError: the source or the warehouse gives no answer.
    """
    settings = load_settings()
    declaration = table_named(table, settings)
    windows = [declaration.grid.from_key(key) for key in keys or declaration.partitions.get_partition_keys()]
    resources = build_resources(settings)
    differing = rows = 0
    with declaration.pipeline(*resources) as pipeline, progress_bar("Comparing", "windows") as progress:
        pipeline.warehouse.ensure_table(pipeline.table)
        comparisons = (
            compare_rows(pipeline, windows) if by_rows else compare_counts(pipeline, declaration.grid, windows)
        )
        for done, comparison in enumerate(comparisons, start=1):
            progress(done, len(windows))
            rows += comparison.records
            if comparison.difference:
                differing += 1
                say(f"DIFFERS  {comparison.window.key}: {comparison.difference}")
    how = "by digest" if by_rows else "by count"
    say(f"{len(windows)} windows, {rows:,} records compared {how}; {differing} differ.")
    return not differing


def run_replay(table: str, keys: Sequence[str]) -> None:
    """Cast the quarantined records of the windows `keys` again, publish the windows, and say what was recovered.

    Raises:
        ConfigurationError: there is no such table, or a key names no window.
        PlatformError: a window was never fetched, or the warehouse gives no answer.
    """
    settings = load_settings()
    declaration = table_named(table, settings)
    windows = [declaration.grid.from_key(key) for key in keys]
    with declaration.pipeline(*build_resources(settings)) as pipeline, progress_bar("Replaying", "windows") as progress:
        pipeline.warehouse.ensure_table(pipeline.table)
        for done, window in enumerate(windows, start=1):
            replayed = pipeline.replay(window)
            pipeline.publish(window, run="replay")
            progress(done, len(windows))
            say(f"{window.key}: {replayed.recovered:,} recovered, {replayed.rejected:,} still rejected")


def run_history(table: str, key: str) -> None:
    """Print the ledger's entries of the window `key`, oldest first.

    Raises:
        ConfigurationError: there is no such table, or the key names no window.
    """
    declaration = table_named(table, load_settings())
    window = declaration.grid.from_key(key)
    entries = ledger_of(declaration.folder).history(window.key)
    for entry in entries:
        say(", ".join(f"{name} {value}" for name, value in told(entry).items()))
    if not entries:
        say(f"{key} was never fetched.")
