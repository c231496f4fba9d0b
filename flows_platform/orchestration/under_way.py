"""Remembers which windows were being fetched when their process died: a crash in a parser kills the run's process.

The next run takes such a window last, so that its other windows are loaded. A window whose process died twice fails.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flows_platform.domain.errors import ProcessFailed
from flows_platform.runtime.locks import try_lock

DEATHS = 2  # one may have another cause, such as a reboot or a lack of memory


@dataclass(frozen=True, slots=True)
class UnderWay:
    """Marks in `folder`, one file per window; it has one byte for every time that the window's process died."""

    folder: Path

    def deaths(self, key: str) -> int:
        """How often a process died while it fetched the window."""
        path = self._path(key)
        return path.stat().st_size if path.exists() else 0

    def suspects_last(self, keys: Sequence[str]) -> list[str]:
        """The keys in their order, with the windows whose process died at the end."""
        # guard: a window whose process died comes last
        return sorted(keys, key=self.deaths)

    @contextmanager
    def mark(self, key: str) -> Iterator[None]:
        """Mark the window as being fetched until the block ends, normally or by an exception.

        Raises:
            ProcessFailed: the window's process died too often. The next run tries the window again.
        """
        path = self._path(key)
        if (deaths := self.deaths(key)) >= DEATHS:
            path.unlink(missing_ok=True)
            raise ProcessFailed(
                f"the process that fetched the window {key} died {deaths} times.",
                remedy="The answer may crash a parser or need too much memory: keep_raw_days keeps it for inspection.",
            )
        held = try_lock(path)
        if held is None:  # another process is fetching it
            yield
            return
        try:
            os.pwrite(held, b"x", deaths)
            yield
        finally:
            path.unlink(missing_ok=True)
            os.close(held)

    def _path(self, key: str) -> Path:
        return self.folder / key.replace(":", "")
