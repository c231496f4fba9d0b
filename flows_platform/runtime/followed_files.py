"""Files that other processes replace while a server runs: read once, and again after each replacement."""

from collections.abc import Callable
from pathlib import Path


class FollowedFile[T]:
    """What `read` makes of the file. It is read again once it was replaced, or while it is missing."""

    def __init__(self, path: Path, read: Callable[[Path], T]) -> None:
        self.path = path
        self._read = read
        # One attribute, so that threads never pair the content of one file with the state of another.
        self._kept: tuple[tuple[int, ...], T] | None = None

    def current(self) -> T:
        """The content now; raises what `read` raises."""
        try:
            found = self.path.stat()
            state: tuple[int, ...] = (found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode)
        except OSError:
            state = ()
        kept = self._kept
        # guard: a revoked token ends
        # guard: a changed version is seen at once
        if kept is None or not state or state != kept[0]:
            self._kept = kept = (state, self._read(self.path))
        return kept[1]
