"""What a terminal shows beside the results: messages on standard error and progress bars. Imports Rich."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from flows_platform.domain.progress import Progress as Listener

console = Console(stderr=True, highlight=False)


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
