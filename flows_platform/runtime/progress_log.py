"""Progress of a long operation, logged at most every few seconds: a log line costs Dagster 3 ms."""

import time
from collections.abc import Callable

from flows_platform.domain.progress import Progress

EVERY = 2.0  # seconds between two lines


def log_progress(say: Callable[[str], None], unit: str) -> Progress:
    """A listener that logs how many `unit` are done, out of how many, and how fast."""
    started = said = time.monotonic()

    def listener(done: int, total: int | None) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said < EVERY:
            return
        said = now
        share = f" of {total:,} ({done / total:.0%})" if total else ""
        say(f"{done:,}{share} {unit}, {done / (now - started):,.0f} a second")

    return listener
