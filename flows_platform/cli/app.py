"""The application that the commands register with, and what their help has in common."""

from importlib.metadata import version
from typing import Annotated

import typer

from flows_platform.cli.old_names import Commands

FAILED, WRONG_USE, INTERRUPTED = 1, 2, 130

app = typer.Typer(
    cls=Commands,
    help="A time-windowed HTTP API into BigQuery, exactly: every window atomic, verified and visible in Dagster.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - as typer calls it
    if wanted:
        typer.echo(f"flows {version('flows-platform')}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[  # noqa: FBT002 - the callback acts on it
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """The options of `flows` itself."""


def examples(*lines: str) -> str:
    """The end of a command's help."""
    return "[bold]Examples[/bold]\n\n" + "\n\n".join(f"  {line}" for line in lines)
