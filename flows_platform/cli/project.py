"""Arguments of `flows init`."""

from pathlib import Path
from typing import Annotated

import typer

from flows_platform.cli.app import app, examples


@app.command("init", epilog=examples("flows init my_feeds", "flows init ."))
def init(folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder; it is created if needed.")]) -> None:
    """Write a project of your own: a folder for sources, settings, and what Dagster needs."""
    from flows_platform.cli.commands.init import run_init

    run_init(folder)
