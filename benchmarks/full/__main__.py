"""`python -m benchmarks.full`: the run, resumed where it was stopped; FULL.md written as far as it is."""

import os
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import machine
from benchmarks.environment import FOLDER, WORK
from benchmarks.full.report import SET_ROWS, render
from benchmarks.full.run import folder_of, run_all
from benchmarks.full.state import State
from flows_platform.cli.commands.console import console
from flows_platform.domain.errors import PlatformError
from flows_platform.runtime.atomic_files import atomic_path

FAILED = 1


def main(
    rows: Annotated[int, typer.Option(min=1000, help="Rows to generate.")] = SET_ROWS,
    days: Annotated[int, typer.Option(min=1, max=58, help="Days they cover.")] = 58,
    wire: Annotated[str, typer.Option("--format", help="Format that windows are fetched in.")] = "json",
    work: Annotated[Path, typer.Option(help="Folder of all files; some 30 GB for the whole set.")] = WORK,
    results: Annotated[Path, typer.Option(help="The file to render.")] = FOLDER / "FULL.md",
) -> None:
    """Take a generated raw file of LANL's size to the warehouse, window by window."""
    for name in [name for name in os.environ if name.startswith("FLOWS_")]:
        del os.environ[name]  # the product runs under its defaults
    folder = folder_of(work, rows)
    folder.mkdir(parents=True, exist_ok=True)
    state = State.saved(folder) or State(folder, rows, days, wire, machine.facts(), machine.load_average())
    if (commit := machine.commit()) not in str(state.facts["commit"]):
        state.facts["commit"] = f"{state.facts['commit']}, then {commit}"
    if (state.days, state.wire) != (days, wire):
        raise typer.BadParameter(f"{folder} holds a run of {state.days} days fetched as {state.wire}; remove it first.")
    try:
        run_all(state)
    except PlatformError as error:
        console.print(str(error), style="red", markup=False)
        raise typer.Exit(FAILED) from None
    finally:
        with atomic_path(results) as temporary:
            temporary.write_text(render(state))
        console.print(f"{results}")


if __name__ == "__main__":
    typer.run(main)
