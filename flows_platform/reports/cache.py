"""The cache of answers: bytes by key, in memory and on disk, both of limited size. Damaged files count as missing."""

import logging
import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from threading import Lock

from flows_platform.domain.errors import StorageError
from flows_platform.runtime.locks import exclusive

MEGABYTE = 1 << 20
DIGEST = 32  # bytes of the SHA-256 before the content of a file
SUFFIX = ".answer"
LOCK, USED, NEW = ".lock", ".used", ".new"  # in the folder of kept answers: see DiskCache
BLOCK = 4096  # bytes

logger = logging.getLogger(__name__)


class MemoryCache:
    """The most recently used answers, up to a number of bytes. Threads may share it."""

    def __init__(self, most: int) -> None:
        self._most, self._bytes = most, 0
        self._held: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()

    def get(self, key: str) -> bytes | None:
        """The answer; None if it is not in memory."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
            return self._held.get(key)

    def put(self, key: str, body: bytes) -> None:
        """Keep an answer, unless it alone would fill more than a quarter of the cache."""
        if len(body) > self._most // 4:
            return
        with self._lock:
            self._bytes += len(body) - len(self._held.pop(key, b""))
            self._held[key] = body
            # guard: kept answers have a bound
            while self._bytes > self._most:
                _, gone = self._held.popitem(last=False)
                self._bytes -= len(gone)


class DiskCache:
    """Answers in a folder, up to a number of bytes; those used longest ago go first. Several servers may share it.

    A file in the folder has the bytes that it holds, or more. So the folder is listed only when a server first writes,
    and when the bound is reached: then a tenth is freed, and the next listing is as many bytes away.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self._folder, self._most = folder, most
        self._counts = False  # whether this server has listed the folder: a power cut may lose the last count

    def get(self, key: str) -> bytes | None:
        """The answer; None if there is none, or if its file is damaged."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        body = content[DIGEST:]
        # guard: a kept answer is whole
        if sha256(body).digest() != content[:DIGEST]:
            path.unlink(missing_ok=True)
            return None
        with suppress(OSError):
            os.utime(path)
        return body

    def put(self, key: str, body: bytes) -> None:
        """Keep an answer. If it cannot be written, it is not kept, and the log says so."""
        if len(body) > self._most // 4:
            return
        try:
            with exclusive(self._folder / LOCK):
                self._make_room(len(body) + DIGEST)
                new = self._folder / NEW  # one at a time; it is not synced, since reading detects a damaged file
                new.write_bytes(sha256(body).digest() + body)
                new.replace(self._path(key))
        except (StorageError, OSError) as error:
            logger.warning("an answer is not kept on disk: %s", error)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}{SUFFIX}"

    def _make_room(self, size: int) -> None:
        """Count a file of that size, and remove others where there is no room for it."""
        used = self._used() + _on_disk(size)
        # guard: kept files have a bound
        if used > self._most:
            used = self._sweep(self._most * 9 // 10 - _on_disk(size)) + _on_disk(size)
        (self._folder / USED).write_text(str(used), "ascii")

    def _used(self) -> int:
        """The bytes that the folder holds, or more: a file that replaced another is counted twice until a listing."""
        # guard: an answer is kept without a listing
        if self._counts:
            with suppress(OSError, ValueError):
                return int((self._folder / USED).read_text("ascii"))
        self._counts = True
        return sum(_on_disk(entry.stat().st_size) for entry in self._files())

    def _sweep(self, most: int) -> int:
        """Remove the files used longest ago until at most so many bytes are left; those bytes."""
        found = [(entry.stat(), entry.path) for entry in self._files()]
        used = 0
        for status, path in sorted(found, key=lambda item: item[0].st_mtime_ns, reverse=True):
            if used + _on_disk(status.st_size) > most:
                Path(path).unlink(missing_ok=True)
            else:
                used += _on_disk(status.st_size)
        return used

    def _files(self) -> Iterator["os.DirEntry[str]"]:
        with os.scandir(self._folder) as entries:
            yield from (entry for entry in entries if entry.name.endswith(SUFFIX))


def _on_disk(size: int) -> int:
    """The bytes that a file takes: whole blocks, so that small files too have a bound."""
    return -(-size // BLOCK) * BLOCK


class AnswerCache:
    """A cache in memory in front of a cache on disk."""

    def __init__(self, folder: Path, *, memory: int = 64 * MEGABYTE, disk: int = 1024 * MEGABYTE) -> None:
        self._memory, self._disk = MemoryCache(memory), DiskCache(folder, disk)

    def at_hand(self, key: str) -> bytes | None:
        """The answer if it is in memory; None otherwise. Does not block."""
        return self._memory.get(key)

    def get(self, key: str) -> bytes | None:
        """The answer; None if there is none. May read the disk."""
        held = self._memory.get(key)
        if held is None and (held := self._disk.get(key)) is not None:
            self._memory.put(key, held)
        return held

    def put(self, key: str, body: bytes, *, on_disk: bool) -> None:
        """Keep an answer in memory and, with `on_disk`, on disk too."""
        self._memory.put(key, body)
        if on_disk:
            self._disk.put(key, body)
