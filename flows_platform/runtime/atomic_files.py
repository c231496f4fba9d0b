"""Files that are replaced in one step, never half written; digests of files. Knows no format."""

import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from flows_platform.domain.errors import InputError, StorageError
from flows_platform.domain.progress import Progress, silent

HASH_CHUNK = 1 << 20
_TOKEN_BYTES = 8


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """A temporary file in the target's folder; it becomes the target when the block ends well, else it is removed.

    The file and its folder are synced, so the change outlives a power cut. Leftovers of killed writers are swept.

    Raises:
        StorageError: the file cannot be written (also for an OSError raised inside the block).
    """
    with atomic_paths(target) as (temporary,):
        yield temporary


@contextmanager
def atomic_paths(*targets: Path) -> Iterator[tuple[Path, ...]]:
    """As `atomic_path` for several files: all are complete and synced before the first one is renamed."""
    finals = [Path(os.path.realpath(target)) for target in targets]
    with _storage_errors(targets), ExitStack() as stack:
        temporaries = tuple(stack.enter_context(_temporary(final)) for final in finals)
        yield temporaries
        for temporary in temporaries:
            # guard: a file is synced before its rename
            sync(temporary)
        for temporary, final in zip(temporaries, finals, strict=True):
            # guard: a file is replaced in one step
            temporary.replace(final)
        for folder in {final.parent for final in finals}:
            # guard: the folder is synced after it
            sync(folder)


@contextmanager
def _storage_errors(targets: tuple[Path, ...]) -> Iterator[None]:
    # guard: a failed write has a type
    try:
        yield
    except OSError as error:
        names = " and ".join(str(target) for target in targets)
        raise StorageError(
            f"{names} cannot be written: {error.strerror or error}.",
            remedy="Free space, correct the permissions or choose another path; the previous file is unchanged.",
        ) from error


@contextmanager
def _temporary(final: Path) -> Iterator[Path]:
    # guard: devices are not replaced
    if final.exists() and not final.is_file():
        # A rename would replace the device or pipe itself: --out /dev/null as root must not remove /dev/null.
        raise StorageError(f"{final} is not a regular file.", remedy="Name a file.")
    final.parent.mkdir(parents=True, exist_ok=True)
    # guard: leftovers are swept
    sweep(final)
    path, lock = create_locked(final)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
        os.close(lock)


def create_locked(final: Path) -> tuple[Path, int]:
    """A new file and a descriptor that holds its lock. The lock shows that the writer lives, and ends with it."""
    while True:
        path = final.with_name(f".{final.name}.{secrets.token_hex(_TOKEN_BYTES)}.tmp")
        lock = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o666)
        # guard: a writer holds its file's lock
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():  # else another writer swept it between the two calls
            return path, lock
        os.close(lock)


def sweep(target: Path) -> None:
    """Remove files that killed writers of `target` left in its folder; a living writer's file is locked and stays."""
    # More than one mark: a temporary file that was itself being replaced.
    leftover = re.compile(rf"\.+{re.escape(target.name)}(\.[0-9a-f]{{{2 * _TOKEN_BYTES}}}\.tmp)+")
    for entry in os.scandir(target.parent):
        if leftover.fullmatch(entry.name):
            _remove_unlocked(Path(entry.path))


def _remove_unlocked(path: Path) -> None:
    with suppress(FileNotFoundError), path.open("rb") as file, suppress(BlockingIOError):
        # guard: living writers are not swept
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()


def sync(path: Path) -> None:
    """Wait until a file or a folder's list of names is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_file(path: Path, progress: Progress = silent) -> str:
    """The file's SHA-256 in hex; progress in bytes.

    Raises:
        InputError: the file cannot be read.
    """
    with reading(path), path.open("rb") as file:
        return sha256_of(file, progress)


def sha256_of(file: IO[bytes], progress: Progress = silent) -> str:
    """The SHA-256 of an open file from its position on, in hex; progress in bytes."""
    digest, done, size = hashlib.sha256(), 0, os.fstat(file.fileno()).st_size
    while chunk := file.read(HASH_CHUNK):
        digest.update(chunk)
        done += len(chunk)
        progress(done, size)
    return digest.hexdigest()


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """An OSError inside the block becomes an InputError that names the file.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    try:
        yield
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.", remedy="Check the path.") from error
