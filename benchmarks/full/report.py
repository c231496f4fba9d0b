"""FULL.md, rendered from the state of a full run."""

from collections.abc import Iterator, Sequence
from statistics import median

from benchmarks.full.state import State, WindowCost

SET_ROWS = 129_977_412  # LANL's file
PARQUET_MINUTES, WAREHOUSE_MINUTES, PEAK_GB = 20, 45, 4
COMPARED = 8  # windows at either end
PER = 100_000  # rows


def render(state: State) -> str:
    """The whole document."""
    with_rows = sum(1 for window in state.windows.values() if window.rows)
    lines = [
        "# The whole data set, raw file to warehouse",
        "",
        f"Written by `make bench-full`. {state.rows:,} generated rows over {state.days} days, fetched as {state.wire};",
        f"{len(state.windows)} windows, {with_rows} of them with rows.",
        "",
        "- " + ", ".join(f"{name} {value}" for name, value in state.facts.items() if name != "packages"),
        f"- Load average at the start: {state.load[0]}",
        "",
        *_stages(state),
        "",
        *_goals(state),
        "",
        *_windows(state),
    ]
    return "\n".join(lines) + "\n"


def _stages(state: State) -> Iterator[str]:
    yield "| stage | minutes | rows a second | our CPU-minutes | the emulator's | done |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for name, stage in state.stages.items():
        figures = [stage.seconds / 60, stage.own / 60, stage.emulator / 60]
        minutes, own, emulator = (f"{figure:.2f}" for figure in figures)
        moves_all = name not in {"first again", "verify"}
        rate = f"{state.rows / stage.seconds:,.0f}" if stage.done and moves_all else ""
        yield f"| {name} | {minutes} | {rate} | {own} | {emulator} | {'yes' if stage.done else 'no'} |"


def _goals(state: State) -> Iterator[str]:
    """Minutes from the raw file on: what generating it took is not counted."""
    to_parquet = sum(state.stage(name).seconds for name in ("clean", "load", "fetch")) / 60
    to_warehouse = to_parquet + state.stage("publish").seconds / 60
    targets = _target(state, to_parquet, PARQUET_MINUTES), _target(state, to_warehouse, WAREHOUSE_MINUTES)
    waited = sum(window.jobs for window in state.windows.values()) / 60
    yield f"- Every window in Parquet: {to_parquet:.1f} minutes{targets[0]}"
    yield f"- Every window in the warehouse: {to_warehouse:.1f} minutes{targets[1]}"
    yield f"- Of these the emulator's own jobs: {waited:.1f} minutes"
    yield f"- Highest memory of all our processes together: {state.peak / 1e9:.2f} GB (target: {PEAK_GB} GB)"


def _target(state: State, minutes: float, target: float) -> str:
    if state.rows < SET_ROWS:
        return ""
    return f" (target {target}: {'reached' if minutes <= target else '**missed**'})"


def _windows(state: State) -> Iterator[str]:
    """What windows cost at the beginning and at the end, and the first one once more at the very end."""
    full = [state.windows[key] for key in sorted(state.windows) if state.windows[key].rows]
    if not full:
        return
    yield f"| windows | rows | our seconds | for {PER:,} rows | the emulator's jobs |"
    yield "| --- | --- | --- | --- | --- |"
    yield _cost("window 1", full[:1])
    if state.again:
        yield _cost(f"window 1 again, after {len(full)}", [state.again])
    yield _cost(f"first {COMPARED}, median", full[:COMPARED])
    yield _cost(f"last {COMPARED}, median", full[-COMPARED:])


def _cost(name: str, windows: Sequence[WindowCost]) -> str:
    rows, own = median(window.rows for window in windows), median(window.own for window in windows)
    rate, jobs = median(window.own / window.rows * PER for window in windows), median(window.jobs for window in windows)
    return f"| {name} | {rows:,.0f} | {own:.2f} | {rate:.2f} | {jobs:.2f} |"
