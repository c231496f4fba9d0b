"""Looking on while something works. What is looked at, and whether anybody wants to know, callers say."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def meanwhile(look: Callable[[], None], every: float, name: str) -> Iterator[None]:
    """Calls `look` every so many seconds while the block runs, in a thread that is called `name`.

    The work stays where Ctrl-C reaches it. No look outlasts the block.
    """
    done = threading.Event()

    def watch() -> None:
        while not done.wait(every):
            look()

    watcher = threading.Thread(target=watch, name=name, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
