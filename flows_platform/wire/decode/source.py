"""What decoders read from, and the reader between the bytes and a parser: it meters, guards and keeps the tail."""

import io
from collections.abc import Buffer
from typing import Protocol

from flows_platform.domain.errors import SourceRefused

TAIL = 4096  # bytes kept for the footer
SLICE_BYTES = 1 << 18  # a slice of records ends with the first one complete after so many bytes
# The most that one record may take, unless the API's declaration says otherwise. A parser makes up to 28 bytes of
# objects from one of input (`[1e1,1e1,…`), and its quarantine as much again, so this keeps the worst under 64 MB.
RECORD_BYTES = 1 << 20


class RecordTooLarge(SourceRefused):
    """More bytes came than one record may take."""


class ByteSource(Protocol):
    """Decompressed bytes of one answer: `read(n)` gives at most n, and b"" at the end only."""

    def read(self, size: int = -1, /) -> bytes: ...


class Guard(Protocol):
    """Looks at every piece of a document before the parser does; may hold bytes back or rewrite them.

    `release` is told that a slice was taken, and with it all that the pieces so far may have filled memory with.
    """

    def admit(self, chunk: bytes) -> bytes: ...

    def finish(self) -> bytes: ...

    def release(self) -> None: ...


class Cutter(Protocol):
    """Takes whole records out of a document's bytes on their way to the parser."""

    def cut(self, piece: bytes) -> bytes:
        """What the parser gets of a piece, or of that and what earlier ones left."""

    def finish(self) -> bytes:
        """What was left, at the document's end."""


class Unguarded:
    """For parsers that bound themselves."""

    def admit(self, chunk: bytes) -> bytes:
        return chunk

    def finish(self) -> bytes:
        return b""

    def release(self) -> None:
        """Nothing is held."""


class MeteredReader:
    """Passes reads through a guard and keeps the last bytes; refuses a record that does not end.

    `pending` counts the bytes since the last slice: who cuts slices does so at `SLICE_BYTES`, so what goes beyond is
    one record (or what surrounds the records). What a `cutter` takes does not come through; it gets pieces of `piece`
    bytes.
    """

    def __init__(
        self,
        source: ByteSource,
        guard: Guard | None = None,
        record_bytes: int = RECORD_BYTES,
        piece: int = SLICE_BYTES,
    ) -> None:
        self._source = source
        self._guard = guard or Unguarded()
        self._limit = SLICE_BYTES + record_bytes
        self._piece = min(piece, self._limit)
        self.cutter: Cutter | None = None
        self.tail = b""
        self.ended = False
        self.pending = 0

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, or a few more where the guard rewrites them.

        Raises:
            SourceRefused: a record is too large, or the guard says so.
        """
        if size == 0:  # ijson asks for nothing once, to learn whether it gets bytes
            return b""
        while not self.ended:
            chunk = self._source.read(self._piece if self.cutter else size)
            self.ended = not chunk
            self._count(chunk)
            admitted = self._guard.admit(chunk) if chunk else self._guard.finish()
            if self.cutter:
                admitted = self.cutter.cut(admitted) if chunk else self.cutter.finish() + admitted
            if admitted:
                return admitted
        return b""

    def _count(self, chunk: bytes) -> None:
        self.tail = chunk[-TAIL:] if len(chunk) >= TAIL else (self.tail + chunk)[-TAIL:]
        self.pending += len(chunk)
        if self.pending > self._limit:
            raise RecordTooLarge(
                f"more than {self._limit - SLICE_BYTES:,} bytes came without the end of a record.",
                remedy="Check the URL; where records are that large, raise the API's record_bytes.",
            )

    def release(self) -> None:
        """A slice was taken."""
        self.pending = 0
        self._guard.release()


class Readable(io.RawIOBase):
    """A source as the raw file that the standard library wants."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer).cast("B")
        chunk = self._source.read(len(view))
        view[: len(chunk)] = chunk
        return len(chunk)
