"""Objects as files: each is written completely, synced, and only then linked to its name."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import batched, repeat
from pathlib import Path
from threading import RLock

from flows_platform.domain.errors import StorageError
from flows_platform.runtime.atomic_files import create_locked, sweep, sync
from flows_platform.stores.object_store import Dated, ObjectStore, ObjectTooLarge, Outcome, check_key

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NEW = ".new"  # the folder of files that are being written; no key begins with a dot here
MOST_KNOWN = 10_000  # folders that are remembered as durable
OPEN_AT_ONCE = 128  # files that are open at a time
SYNCS = 8  # syncs at a time


class _Writing:
    """An object that is being written, and the outcome."""

    def __init__(self, path: Path, body: bytes) -> None:
        self.path, self.folder, self.body = path, path.parent, body
        self.temporary: Path | None = None
        self.descriptor = -1
        self.outcome = Outcome.DIFFERS
        self.error: StorageError | None = None

    def sync(self) -> None:
        if self.temporary is not None:
            os.fsync(self.descriptor)

    def compare(self) -> None:
        if self.outcome is not Outcome.CREATED and self.path.read_bytes() == self.body:
            self.outcome = Outcome.SAME

    def end(self) -> None:
        if self.temporary is not None:
            os.close(self.descriptor)
            self.temporary.unlink(missing_ok=True)


class FileStore(ObjectStore):
    """Objects in a folder, which several processes may share.

    `link` fails if the name is taken, so only one of several writers of a key creates the object. A killed writer
    leaves a file in `.new`, which the next store over the folder removes.

    Raises:
        StorageError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._new = self._folder / NEW / "object"
        # The folders above may be unreadable, and do not belong to the store.
        self._durable = {above for above in self._folder.parents if above.is_dir()}
        self._lock = RLock()
        self._pool = ThreadPoolExecutor(SYNCS, thread_name_prefix="sync")
        with _typed(folder):
            self._make_folder(self._new.parent)
            sweep(self._new)

    @property
    def name(self) -> str:
        return self._folder.as_uri()

    def create_all(self, objects: Sequence[tuple[str, bytes]]) -> list[Outcome | StorageError]:
        writings = [_Writing(self._path(key), body) for key, body in objects]
        for some in batched(writings, OPEN_AT_ONCE, strict=False):
            self._create(some)
        return [one.error or one.outcome for one in writings]

    def _create(self, writings: Sequence[_Writing]) -> None:
        """Create objects step by step: write all files, sync them, link them, and sync their folders."""
        try:
            _each(writings, self._write)
            # guard: an object is synced before it has its name
            self._at_once(writings, _Writing.sync)
            _each(writings, self._link)
        finally:
            for one in writings:
                _try(one, _Writing.end)
        folders = {one.folder: one for one in writings if not one.error}
        # Even if another process made the link, since it may have been killed before this.
        # guard: an object's folder is synced
        self._at_once(list(folders.values()), lambda one: sync(one.folder))
        for one in writings:
            one.error = one.error or folders[one.folder].error
        _each(writings, _Writing.compare)

    def dated(self, key: str, most: int | None = None) -> Dated | None:
        path = self._path(key)
        with _typed(path):
            try:
                with path.open("rb", buffering=0) as file:
                    state = os.fstat(file.fileno())
                    # guard: a file is not read beyond its limit
                    if most is not None and state.st_size > most:
                        raise ObjectTooLarge
                    # A file is written once, before it is linked.
                    return Dated(file.readall(), EPOCH + timedelta(microseconds=state.st_mtime_ns // 1000))
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return None

    def keys(self, prefix: str = "", after: str = "") -> Iterator[str]:
        yield from self._below("", prefix, after)
        # At the end, since the folder may disappear during the listing: an unmounted disk leaves an empty folder.
        with _typed(self._folder):
            # guard: a store that went away is not empty
            self._new.parent.stat()

    def _below(self, folder: str, prefix: str, after: str) -> Iterator[str]:
        """The keys below a folder, which is empty or ends with a slash."""
        for key in self._entries(folder):
            is_folder = key.endswith("/")
            if is_folder and _may_hold(key, prefix, after):
                yield from self._below(key, prefix, after)
            elif not is_folder and key.startswith(prefix) and key > after:
                yield key

    def _entries(self, folder: str) -> list[str]:
        """The keys of objects, and of folders with a trailing slash, in the order of all keys below them."""
        path = self._folder / folder
        with _typed(path):
            try:
                with os.scandir(path) as found:
                    entries = [f"{folder}{entry.name}{'/' if entry.is_dir() else ''}" for entry in found]
            except (FileNotFoundError, NotADirectoryError):
                return []
        return sorted(key for key in entries if key != f"{NEW}/")

    def _path(self, key: str) -> Path:
        return self._folder / check_key(key)

    def _write(self, writing: _Writing) -> None:
        """Write an object under a name of its own, unless its name is taken."""
        self._make_folder(writing.folder)
        if writing.path.exists():
            return
        writing.temporary, writing.descriptor = create_locked(self._new)
        with open(writing.descriptor, "wb", closefd=False) as file:
            file.write(writing.body)

    def _link(self, writing: _Writing) -> None:
        if writing.temporary is None:
            return
        try:
            # guard: one writer creates an object
            os.link(writing.temporary, writing.path)
        except FileExistsError:
            return
        except FileNotFoundError:  # someone removed the folder
            # guard: a folder that was removed is made again
            self._forget_folders()
            raise
        writing.outcome = Outcome.CREATED

    def _at_once(self, writings: Sequence[_Writing], act: Callable[[_Writing], None]) -> None:
        """In threads: the file system's own journal syncs together what waits for it."""
        if len(writings) == 1:
            _each(writings, act)
            return
        shares = [writings[number::SYNCS] for number in range(min(SYNCS, len(writings)))]
        list(self._pool.map(_each, shares, repeat(act)))

    def _make_folder(self, folder: Path) -> None:
        """Create a folder, and those above it, so that they survive a power failure.

        A folder of another process may not be synced yet, so this process syncs every folder once.
        """
        with self._lock:
            if folder in self._durable:
                return
        self._make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        # guard: a new folder is synced
        sync(folder.parent)
        with self._lock:
            if len(self._durable) >= MOST_KNOWN:
                self._forget_folders()
            self._durable.add(folder)

    def _forget_folders(self) -> None:
        with self._lock:
            self._durable = set(self._folder.parents)


def _each(writings: Iterable[_Writing], act: Callable[[_Writing], None]) -> None:
    """Do it to all that have not failed."""
    for one in writings:
        if one.error is None:
            _try(one, act)


def _try(one: _Writing, act: Callable[[_Writing], None]) -> None:
    """Do it; an error stays with its object."""
    # guard: an object that fails fails alone
    try:
        act(one)
    except OSError as error:
        one.error = one.error or _unusable(one.path, error)


def _may_hold(folder: str, prefix: str, after: str) -> bool:
    """Whether a key below the folder may start with the prefix and sort after `after`."""
    fits = folder.startswith(prefix) or prefix.startswith(folder)
    # guard: only the folders of a range are read
    return fits and (after < folder or after.startswith(folder))


@contextmanager
def _typed(path: Path) -> Iterator[None]:
    # guard: a store that fails has a type
    try:
        yield
    except OSError as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"the archive cannot use {path}: {error.strerror or error}.",
        remedy="Free space, or correct the permissions; what is stored is unchanged.",
    )
