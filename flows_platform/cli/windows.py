"""Arguments of the commands on windows: verify, reprocess, history."""

from typing import Annotated

import typer

from flows_platform.cli.app import FAILED, app, examples

Table = Annotated[
    str | None,
    typer.Option(help="The declared table that the windows belong to; by default flows, or the only one there is."),
]


@app.command(
    epilog=examples("flows verify", "flows verify --rows --partition 2014-01-01-03:00", "flows verify --table nvd_cves")
)
def verify(
    partition: Annotated[list[str] | None, typer.Option(help="A window's key, or several; all by default.")] = None,
    *,
    table: Table = None,
    rows: Annotated[bool, typer.Option("--rows", help="Compare digests of all rows, not counts alone.")] = False,
) -> None:
    """Compare source, window files and warehouse window by window, and name those that differ."""
    from flows_platform.cli.commands.verify import run_verify

    if not run_verify(table, partition or [], by_rows=rows):
        raise typer.Exit(FAILED)


@app.command(epilog=examples("flows reprocess 2014-01-01-03:00", "flows reprocess --confirm 2014-01-01-03:00"))
def reprocess(
    partition: Annotated[list[str], typer.Argument(help="Keys of windows.")],
    *,
    table: Table = None,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Also publish windows that lost rows, without a second pull.")
    ] = False,
) -> None:
    """Cast the quarantined records of windows again after a fix, without fetching, and publish the windows."""
    from flows_platform.cli.commands.verify import run_reprocess

    if not run_reprocess(table, partition, confirm=confirm):
        raise typer.Exit(FAILED)


@app.command(epilog=examples("flows history 2014-01-01-03:00"))
def history(partition: Annotated[str, typer.Argument(help="A window's key.")], *, table: Table = None) -> None:
    """Show a window's history: every request, file, job and row count, oldest first."""
    from flows_platform.cli.commands.verify import run_history

    run_history(table, partition)
