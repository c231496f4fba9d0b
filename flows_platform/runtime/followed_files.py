"""Files that other processes replace while a server runs: read once, and again after each replacement."""

from collections.abc import Callable
from pathlib import Path


class FollowedFile[T]:
    """What `read` makes of the file. It is read again once it was replaced, or while it is missing."""

    def __init__(self, path: Path, read: Callable[[Path], T]) -> None:
        self.path = path
        self._read = read
        self._state: tuple[int, ...] = ()
        self._held: list[T] = []

    def current(self) -> T:
        """The content now; raises what `read` raises."""
        try:
            found = self.path.stat()
            state: tuple[int, ...] = (found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode)
        except OSError:
            state = ()
        # guard: a revoked token ends
        # guard: a changed version is seen at once
        if not state or state != self._state:
            self._held, self._state = [self._read(self.path)], state
        return self._held[0]
