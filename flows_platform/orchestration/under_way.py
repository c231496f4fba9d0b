"""Which windows were being fetched when their process died: a parser that crashes takes the process of its run along.

Such a window is taken last by the next run, so that the others of the run are loaded; one whose process died twice
fails by itself.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flows_platform.domain.errors import ProcessFailed
from flows_platform.runtime.locks import try_lock

DEATHS = 2  # one may be another's doing: the machine's end, or memory that something else took


@dataclass(frozen=True, slots=True)
class UnderWay:
    """Marks in `folder`, a file a window: as many bytes as times it was begun and its process died."""

    folder: Path

    def deaths(self, key: str) -> int:
        """How often a process died while it fetched the window."""
        path = self._path(key)
        return path.stat().st_size if path.exists() else 0

    def suspects_last(self, keys: Sequence[str]) -> list[str]:
        """The keys in their order, but behind the others those of windows whose process died."""
        # guard: a window whose process died comes last
        return sorted(keys, key=self.deaths)

    @contextmanager
    def mark(self, key: str) -> Iterator[None]:
        """The window is being fetched until the block is left, however it is left.

        Raises:
            ProcessFailed: its process died too often. The next run tries it again.
        """
        path = self._path(key)
        if (deaths := self.deaths(key)) >= DEATHS:
            path.unlink(missing_ok=True)
            raise ProcessFailed(
                f"the process that fetched the window {key} died {deaths} times at it.",
                remedy="Its answer may crash a parser, or need more memory than there is: keep_raw_days keeps it.",
            )
        held = try_lock(path)
        if held is None:  # another process is at it
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
