"""What decoders read from, and readers that look at the bytes on their way to a parser."""

import io
from collections.abc import Buffer, Callable
from typing import Protocol

TAIL = 4096  # bytes kept for the footer


class ByteSource(Protocol):
    """Decompressed bytes of one answer: `read(n)` gives at most n, and b"" at the end only."""

    def read(self, size: int = -1, /) -> bytes: ...


class TailReader:
    """Passes reads through, keeping the last bytes and showing the first ones to whoever watches."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._watcher: Callable[[bytes], bool] | None = None
        self.tail = b""
        self.ended = False

    def watch(self, watcher: Callable[[bytes], bool]) -> None:
        """Show each chunk to `watcher` until it answers False."""
        self._watcher = watcher

    def read(self, size: int = -1, /) -> bytes:
        if size == 0:  # ijson asks for nothing once, to learn whether it gets bytes
            return b""
        chunk = self._source.read(size)
        self.ended = not chunk
        self.tail = chunk[-TAIL:] if len(chunk) >= TAIL else (self.tail + chunk)[-TAIL:]
        if self._watcher and chunk and not self._watcher(chunk):
            self._watcher = None
        return chunk


class Readable(io.RawIOBase):
    """A source as the raw file that the standard library and Arrow want."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer).cast("B")
        chunk = self._source.read(len(view))
        self.ended = not chunk
        view[: len(chunk)] = chunk
        return len(chunk)
