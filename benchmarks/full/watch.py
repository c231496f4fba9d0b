"""The memory of our processes while a block runs, its seconds and its CPU-seconds, saved when it ends."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.full.state import State
from benchmarks.processes import cpu_seconds, memory, tree
from flows_platform.cli.commands.meanwhile import meanwhile

EVERY = 0.5  # seconds between two looks; one takes some 25 ms of a core


@contextmanager
def stage(state: State, name: str, emulator: int = 0) -> Iterator[None]:
    """Count the block to the stage, however it ends; `emulator` is the pid whose tree is not ours."""
    with _watching(state, emulator):
        started, own, its = time.monotonic(), _own(emulator), cpu_seconds(emulator) if emulator else 0.0
        try:
            yield
        finally:
            current = state.stage(name)
            current.seconds += time.monotonic() - started
            current.own += _own(emulator) - own
            current.emulator += cpu_seconds(emulator) - its if emulator else 0.0
            state.save()


def _own(emulator: int) -> float:
    return cpu_seconds(os.getpid()) - (cpu_seconds(emulator) if emulator else 0.0)


@contextmanager
def _watching(state: State, emulator: int) -> Iterator[None]:
    def look() -> None:
        state.peak = max(state.peak, sum(memory(pid, "VmRSS") for pid in tree(os.getpid(), without=emulator)))

    look()
    with meanwhile(look, EVERY, "memory"):
        yield
