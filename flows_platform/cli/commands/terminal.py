"""Progress and results of a command. Shows progress only if standard error is a terminal, so that pipes stay clean."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from flows_platform.domain.progress import Progress, silent


@contextmanager
def progress_bar(title: str, unit: str) -> Iterator[Progress]:
    """A progress bar for one step, if standard error is a terminal. The listener takes (done, total) in `unit`."""
    if not sys.stderr.isatty():
        yield silent
        return
    from flows_platform.cli.commands.console import bar_of_step

    with bar_of_step(title, unit) as listener:
        yield listener


def say(line: str) -> None:
    """Print a result on standard output, as plain text."""
    print(line)  # noqa: T201 - this is the command's output
