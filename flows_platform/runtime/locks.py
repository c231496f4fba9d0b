"""Locks between processes of one machine; the kernel frees them when their holder dies, however it dies."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from flows_platform.domain.errors import StorageError


def _open(path: Path) -> int:
    with _typed(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


@contextmanager
def _typed(path: Path) -> Iterator[None]:
    try:
        yield
    except BlockingIOError:
        raise
    except OSError as error:
        raise StorageError(
            f"the lock {path} cannot be taken: {error.strerror or error}.", remedy="Correct its folder's permissions."
        ) from error


@contextmanager
def exclusive(path: Path, waits: Callable[[], float] | None = None) -> Iterator[None]:
    """Wait for the lock at `path` and hold it. Each use opens the file again, so the lock also keeps threads apart.

    `waits` gives the seconds until the next try while another holds the lock, and raises when the wait is too long.

    Raises:
        StorageError: the file cannot be opened or locked.
    """
    descriptor = _open(path)
    # guard: one holds a lock
    try:
        with _typed(path):
            while waits and not _taken(descriptor):
                time.sleep(waits())
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        # guard: a lock is tried for
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def try_lock(path: Path) -> int | None:
    """A descriptor that holds the lock until every copy of it is closed; None if another process holds it.

    A child process that inherits the descriptor keeps the lock for its own lifetime.
    """
    descriptor = _open(path)
    with _typed(path):
        if _taken(descriptor):
            return descriptor
    os.close(descriptor)
    return None


def is_held(path: Path) -> bool:
    """Whether another process holds the lock at `path`. Does not create the file."""
    if not path.exists():
        return False
    descriptor = try_lock(path)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False
