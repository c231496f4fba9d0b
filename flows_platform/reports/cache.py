"""Answers that are kept: bytes by key, in memory and on disk, each bounded. A damaged file is as good as none."""

import logging
import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from threading import Lock

from flows_platform.domain.errors import StorageError
from flows_platform.runtime.atomic_files import atomic_path

MEGABYTE = 1 << 20
DIGEST = 32  # bytes of the SHA-256 before the content of a file
SUFFIX = ".answer"

logger = logging.getLogger(__name__)


class MemoryCache:
    """The answers used last, up to a number of bytes. Safe between threads."""

    def __init__(self, most: int) -> None:
        self._most, self._bytes = most, 0
        self._held: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()

    def get(self, key: str) -> bytes | None:
        """The answer, or None."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
            return self._held.get(key)

    def put(self, key: str, body: bytes) -> None:
        """Keep the answer, unless it would fill more than a quarter by itself."""
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
    """Answers in a folder, up to a number of bytes; those used longest ago go first. Several servers may share it."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder, self._most = folder, most
        self._lock = Lock()

    def get(self, key: str) -> bytes | None:
        """The answer, or None where there is none that is whole."""
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
        """Keep the answer; where it cannot be written, the log says so and the answer is not kept."""
        if len(body) > self._most // 4:
            return
        try:
            with self._lock:
                with atomic_path(self._path(key)) as temporary:
                    temporary.write_bytes(sha256(body).digest() + body)
                self._sweep()
        except (StorageError, OSError) as error:
            logger.warning("an answer is not kept on disk: %s", error)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}{SUFFIX}"

    def _sweep(self) -> None:
        files = sorted(self._files(), key=lambda entry: entry.stat().st_mtime_ns, reverse=True)
        used = 0
        for entry in files:
            used += entry.stat().st_size
            # guard: kept files have a bound
            if used > self._most:
                Path(entry.path).unlink(missing_ok=True)

    def _files(self) -> Iterator["os.DirEntry[str]"]:
        with os.scandir(self._folder) as entries:
            yield from (entry for entry in entries if entry.name.endswith(SUFFIX))


class AnswerCache:
    """Answers in memory, and on disk behind it."""

    def __init__(self, folder: Path, *, memory: int = 64 * MEGABYTE, disk: int = 1024 * MEGABYTE) -> None:
        self._memory, self._disk = MemoryCache(memory), DiskCache(folder, disk)

    def at_hand(self, key: str) -> bytes | None:
        """The answer if it is in memory; does not block."""
        return self._memory.get(key)

    def get(self, key: str) -> bytes | None:
        """The answer, or None; may read the disk."""
        held = self._memory.get(key)
        if held is None and (held := self._disk.get(key)) is not None:
            self._memory.put(key, held)
        return held

    def put(self, key: str, body: bytes, *, on_disk: bool) -> None:
        """Keep the answer in memory and, if asked to, on disk."""
        self._memory.put(key, body)
        if on_disk:
            self._disk.put(key, body)
