"""Calls a function at intervals while a block runs."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def meanwhile(look: Callable[[], None], every: float, name: str) -> Iterator[None]:
    """Call `look` every `every` seconds while the block runs, in a thread named `name`.

    The block stays in the caller's thread, where Ctrl-C reaches it. Leaving the block waits for the last call.
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
