"""Progress and results of a command. No progress where standard error is no terminal, so that pipes stay clean."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from flows_platform.domain.progress import Progress, silent


@contextmanager
def progress_bar(title: str, unit: str) -> Iterator[Progress]:
    """A bar for one step where someone watches; the listener it gives takes (done, total) in `unit`."""
    if not sys.stderr.isatty():
        yield silent
        return
    from flows_platform.cli.commands.console import bar_of_step

    with bar_of_step(title, unit) as listener:
        yield listener


def say(line: str) -> None:
    """A result on standard output, plain."""
    print(line)  # noqa: T201 - this is the command's output
