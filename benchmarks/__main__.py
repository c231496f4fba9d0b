"""`python -m benchmarks`: rows measured one after the other, resumed where they were stopped; writes RESULTS.md."""

import os
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.catalog import ROWS
from benchmarks.contest import Row, Trials, compete
from benchmarks.environment import RESULTS, WORK, others_installed
from benchmarks.machine import BUSY
from benchmarks.record import Record, begun, saved
from benchmarks.report import render, shown
from benchmarks.sizes import FULL_ROWS, Sizes
from flows_platform.cli.commands.console import console
from flows_platform.cli.commands.terminal import progress_bar
from flows_platform.domain.errors import PlatformError
from flows_platform.runtime.atomic_files import atomic_path

FAILED = 1


def measure(row: Row, sizes: Sizes, *, again: bool) -> Record:
    """One row, with its earlier rounds where they fit; saved after every round."""
    record = begun(sizes, row.name, again=again)
    if record.busy > BUSY:
        console.print(f"The machine is not quiet: others use {record.busy:.0%} of it.", style="yellow")
    repeats = sizes.repeats * row.rounds

    def keep(trials: Trials) -> None:
        record.trials = trials
        record.save(sizes.work)

    if record.trials and min(map(len, record.trials.values())) >= repeats:
        console.print(f"{row.name}: measured already (--again measures again)")
        return record
    with row.contest(sizes) as contenders, progress_bar(row.name, "trials") as progress:
        compete(contenders, repeats, keep, record.trials, progress)
    return record


def write_results(work: Path, results: Path) -> None:
    """Render what was measured up to now."""
    records = {name: record for name in ROWS if (record := saved(work, name))}
    with atomic_path(results) as temporary:
        temporary.write_text(render(ROWS.values(), records))


def show(row: Row, record: Record) -> None:
    """A row's outcome on the terminal."""
    for goal in row.goals:
        value = goal.value(record.trials)
        mark = {None: " ", True: "+", False: "-"}[goal.reached(value)]
        console.print(f"{mark} {goal.stage}: {shown(goal, value)}", markup=False)


def main(
    rows: Annotated[list[str] | None, typer.Argument(help=f"Rows to measure, all if none: {', '.join(ROWS)}.")] = None,
    *,
    size: Annotated[int, typer.Option("--rows", min=1000, help="Rows of the data set.")] = FULL_ROWS,
    repeats: Annotated[int, typer.Option(min=1, help="Rounds after the first, which warms up.")] = 3,
    windows: Annotated[int, typer.Option(min=2, help="Windows of the backfill.")] = 64,
    work: Annotated[Path, typer.Option(help="Folder of data and raw timings.")] = WORK,
    results: Annotated[Path, typer.Option(help="The file to render.")] = RESULTS,
    again: Annotated[bool, typer.Option("--again", help="Forget what these rows measured before.")] = False,
) -> None:
    """Measure the product beside what others use, and render the results."""
    for name in [name for name in os.environ if name.startswith("FLOWS_")]:
        del os.environ[name]  # the product is measured under its defaults
    sizes, failed = Sizes(size, repeats, windows, work.absolute()), False
    for row in [ROWS[name] for name in chosen(rows or [])]:
        if row.others and not others_installed():
            console.print(f"{row.name}: needs the others' packages; `make bench` installs them", style="yellow")
            failed = True
            continue
        try:
            show(row, measure(row, sizes, again=again))
        except PlatformError as error:
            console.print(f"{row.name}: {error}", style="red", markup=False)
            failed = True
        write_results(sizes.work, results)
    raise typer.Exit(FAILED if failed else 0)


def chosen(names: list[str]) -> list[str]:
    """The rows asked for, or all."""
    for name in names:
        if name not in ROWS:
            raise typer.BadParameter(f"{name!r} is not a row: {', '.join(ROWS)}.")
    return names or list(ROWS)


if __name__ == "__main__":
    typer.run(main)
