"""What decoders read from, and the meter between the bytes and a parser: it counts, guards and keeps the tail."""

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


class Unguarded:
    """For parsers that bound themselves."""

    def admit(self, chunk: bytes) -> bytes:
        return chunk

    def finish(self) -> bytes:
        return b""

    def release(self) -> None:
        """Nothing is held."""


class Meter:
    """Passes pieces through a guard and keeps the last bytes; refuses a record that does not end.

    `pending` counts the bytes since the last slice: who cuts slices does so at `SLICE_BYTES`, so what goes beyond is
    one record (or what surrounds the records).
    """

    def __init__(self, guard: Guard | None = None, record_bytes: int = RECORD_BYTES) -> None:
        self._guard = guard or Unguarded()
        self._limit = SLICE_BYTES + record_bytes
        self.tail = b""
        self.ended = False
        self.pending = 0

    def admit(self, chunk: bytes) -> bytes:
        """The piece, or a little more or less of it where the guard rewrites or holds back bytes.

        Raises:
            SourceRefused: a record is too large, or the guard says so.
        """
        self.tail = chunk[-TAIL:] if len(chunk) >= TAIL else (self.tail + chunk)[-TAIL:]
        self.pending += len(chunk)
        # guard: bytes of one record
        if self.pending > self._limit:
            raise RecordTooLarge(
                f"more than {self._limit - SLICE_BYTES:,} bytes came without the end of a record.",
                remedy="Check the URL; where records are that large, raise the API's record_bytes.",
            )
        return self._guard.admit(chunk)

    def finish(self) -> bytes:
        """What the guard held back, at the document's end."""
        self.ended = True
        return self._guard.finish()

    def release(self) -> None:
        """A slice was taken."""
        self.pending = 0
        self._guard.release()
