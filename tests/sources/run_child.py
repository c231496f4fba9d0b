"""A run's process as Dagster's code server starts it, which notes the files of sources that it parses."""

from pathlib import Path
from typing import Any

from dagster._grpc.impl import start_run_in_subprocess

from flows_platform.components import catalog
from flows_platform.settings import Settings


def execute(parsed: str, arguments: str, job: Any, events: Any, termination: Any) -> None:
    """Execute the run that the arguments name; a line in the file `parsed` is the name of a file that was parsed."""
    parse = catalog._declared

    def noted(path: Path, settings: Settings) -> Any:
        with Path(parsed).open("a") as file:
            file.write(f"{path.name}\n")
        return parse(path, settings)

    catalog._declared = noted
    start_run_in_subprocess(arguments, job, events, termination)  # type: ignore[no-untyped-call] # Dagster leaves it bare
