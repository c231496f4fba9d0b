"""The byte source of decoders, and the meter before a parser: it counts bytes, calls a guard and keeps the tail."""

from typing import Protocol

from flows_platform.domain.errors import SourceRefused, StreamIncomplete

TAIL = 4096  # bytes kept for the footer
SLICE_BYTES = 1 << 18  # a slice ends with the first record that is complete after this number of bytes
# The most bytes that one record may take, unless the table's YAML says otherwise. A parser makes up to 28 bytes of
# objects from one byte of input (`[1e1,1e1,…`), and the quarantine as much again: this keeps the worst below 64 MB.
RECORD_BYTES = 1 << 20


class RecordTooLarge(SourceRefused):
    """More bytes came without the end of a record than one record may take."""


class BlankDocument(StreamIncomplete):
    """A document of lines has none, or only blank ones; the caller knows whether that is an answer."""

    def __init__(self) -> None:
        super().__init__("the answer has no line that is not blank.")


class ByteSource(Protocol):
    """Decompressed bytes of one answer: `read(n)` returns at most n bytes, and b"" only at the end."""

    def read(self, size: int = -1, /) -> bytes: ...


class Guard(Protocol):
    """Checks every piece of a document before the parser gets it; may hold back or rewrite bytes.

    The caller calls `release` after every slice: the memory that the pieces so far may have filled is free again.
    """

    def admit(self, chunk: bytes) -> bytes: ...

    def finish(self) -> bytes: ...

    def release(self) -> None: ...


class Unguarded:
    """The guard for parsers that limit themselves."""

    def admit(self, chunk: bytes) -> bytes:
        return chunk

    def finish(self) -> bytes:
        return b""

    def release(self) -> None:
        """Do nothing: this guard holds no memory."""


class Meter:
    """Passes pieces through a guard and keeps the last bytes; refuses a record that does not end.

    `pending` counts the bytes since the last slice. Decoders cut slices at `SLICE_BYTES`, so all bytes beyond belong to
    one record (or to the envelope).
    """

    def __init__(self, guard: Guard | None = None, record_bytes: int = RECORD_BYTES) -> None:
        self._guard = guard or Unguarded()
        self._limit = SLICE_BYTES + record_bytes
        self.tail = b""
        self.ended = False
        self.pending = 0

    def admit(self, chunk: bytes) -> bytes:
        """The piece; a little more or less if the guard rewrites or holds back bytes.

        Raises:
            SourceRefused: a record is too large, or the guard refuses the piece.
        """
        self.tail = chunk[-TAIL:] if len(chunk) >= TAIL else (self.tail + chunk)[-TAIL:]
        self.pending += len(chunk)
        # guard: bytes of one record
        if self.pending > self._limit:
            raise RecordTooLarge(
                f"more than {self._limit - SLICE_BYTES:,} bytes came without the end of a record.",
                remedy="Check the URL; if records are that large, raise the API's record_bytes.",
            )
        return self._guard.admit(chunk)

    def finish(self) -> bytes:
        """The bytes that the guard held back, at the document's end."""
        self.ended = True
        return self._guard.finish()

    def forget(self, size: int) -> None:
        """Take off the bytes of something that is not part of a record."""
        self.pending = max(0, self.pending - size)

    def release(self) -> None:
        """Start the count for the next slice."""
        self.pending = 0
        self._guard.release()
