"""What makes a process start sooner. Nothing of what the process does belongs here."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """For a block of imports: the collector of cycles is off, and does not look at what was made there later either.

    Imports make some hundred thousand objects that stay. To look for garbage among them, about a hundred times and once
    more when the process ends, is a third of the CPU time that loading the definitions takes.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if running:
            gc.enable()
