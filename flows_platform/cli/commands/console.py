"""What a terminal shows: results, messages on standard error and progress bars. Imports Rich."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from flows_platform.domain.progress import Progress as Listener

WIDTH = 120  # columns of standard output, if it is not a terminal

console = Console(stderr=True, highlight=False)


def output_console() -> Console:
    """Where results are printed: standard output, of a fixed width where it is not a terminal."""
    output = Console(highlight=False)
    return output if output.is_terminal else Console(highlight=False, width=WIDTH)


@contextmanager
def bar_of_step(title: str, unit: str) -> Iterator[Listener]:
    """A progress bar for one step. The listener takes (done, total) in `unit`."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None, figures="")

        def listener(done: int, total: int | None) -> None:
            rate = bar.tasks[0].speed
            speed = f", {rate:,.0f} a second" if rate else ""
            bar.update(task, completed=done, total=total, figures=f"{done:,} {unit}{speed}")

        yield listener
