"""Content codings, bounded and strict: output comes in pieces, and the end mark and checksum must have been seen."""

import zlib
from collections.abc import Callable
from typing import Protocol

import zstandard

from flows_platform.domain.errors import PlatformError, SourceRefused, StreamIncomplete

CHUNK = 1 << 18  # bytes of a read

# A zstd block of four bytes can hold 128 KiB; 512 bytes of input at a time keep one call's output under 16 MiB.
ZSTD_PIECE = 512
ZSTD_WINDOW = 1 << 23  # bytes; what RFC 9659 lets an HTTP server use, and a decoder must hold
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
ZSTD_CHECKSUM = 4  # the bit of a frame's descriptor
ZSTD_FIRST = {ZSTD_MAGIC[0], *range(0x50, 0x60)}  # first bytes of frames, and of those that decoders skip
GZIP_MAGIC = b"\x1f"  # its first byte: a piece may end behind it
MAX_EXPANSION = 250  # times; records shrink 10 to 20 times, gzip's limit is 1,032
FREE_EXPANSION = 64 << 20  # bytes before the ratio is checked


class Decompressor(Protocol):
    """Bytes in by `give`, bytes out by `take`, and `finish` once there is no more input.

    `unchecked` says that compressed data came without a checksum: changed bytes may have passed.
    """

    @property
    def unchecked(self) -> bool: ...

    def give(self, chunk: bytes) -> None: ...
    def take(self, limit: int) -> bytes: ...
    def finish(self) -> None: ...


class Expansion:
    """Stops compression bombs by the ratio of the bytes decompressed to those received."""

    def __init__(self) -> None:
        self._total = 0

    def check(self, received: int, more: int) -> None:
        """Count `more` bytes.

        Raises:
            SourceRefused: they are too many for what was received.
        """
        self._total += more
        # guard: decompressed size
        if self._total > FREE_EXPANSION and self._total > MAX_EXPANSION * received:
            raise SourceRefused(
                f"the compressed answer expands more than {MAX_EXPANSION} times: {received:,} bytes to {self._total:,}."
            )


class Identity:
    """No coding at all."""

    unchecked = False

    def __init__(self) -> None:
        self._pending = Pending()

    def give(self, chunk: bytes) -> None:
        self._pending = Pending(chunk)

    def take(self, limit: int) -> bytes:
        return self._pending.cut(limit)

    def finish(self) -> None:
        """Does nothing: the transfer's framing marks the end."""


class Pending:
    """Bytes that are cut into pieces from the front without moving the rest."""

    def __init__(self, chunk: bytes = b"") -> None:
        self._chunk = chunk
        self._start = 0

    def __bool__(self) -> bool:
        return self._start < len(self._chunk)

    def cut(self, size: int) -> bytes:
        if self._start == 0 and size >= len(self._chunk):
            piece, self._chunk = self._chunk, b""
            return piece
        piece = self._chunk[self._start : self._start + size]
        self._start += len(piece)
        return piece


class Gzip:
    """Gzip members one after the other (RFC 1952, 2.2), each with its checksum."""

    unchecked = False

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=31)
        self._rest = b""

    def give(self, chunk: bytes) -> None:
        self._rest = chunk

    def take(self, limit: int) -> bytes:
        piece = b""
        while self._rest and not piece:
            if self._stream.eof:
                self._begin_another()
            piece = self._inflated(limit)
        return piece or self._inflated(limit)

    def _begin_another(self) -> None:
        # guard: only gzip members follow each other
        if not self._rest.startswith(GZIP_MAGIC):
            raise SourceRefused("bytes follow the end of the gzip body.")
        self._stream = zlib.decompressobj(wbits=31)

    def _inflated(self, limit: int) -> bytes:
        try:
            piece = self._stream.decompress(self._rest, limit)
        except zlib.error as error:
            raise StreamIncomplete(f"the gzip body is damaged ({error}).") from error
        self._rest = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
        return piece

    def finish(self) -> None:
        if not self._stream.eof:
            # guard: gzip end mark
            raise StreamIncomplete("the gzip body ends before its end mark and checksum.")


class Zstd:
    """Zstd frames one after the other (RFC 8878, 3), skippable ones among them."""

    def __init__(self) -> None:
        self._stream = _zstd_frame()
        self._head = b""  # of the frame under way, as far as it says whether a checksum follows
        self._input = Pending()
        self._output = Pending()
        self.unchecked = False

    def give(self, chunk: bytes) -> None:
        self._input = Pending(chunk)

    def take(self, limit: int) -> bytes:
        while not self._output and self._input:
            self._output = Pending(self._decompressed(self._input.cut(ZSTD_PIECE)))
        return self._output.cut(limit)

    def _decompressed(self, piece: bytes) -> bytes:
        output = b""
        while piece:
            if self._stream.eof:
                self._begin_another(piece)
            self._look(piece)
            try:
                output += self._stream.decompress(piece)
            except zstandard.ZstdError as error:
                raise StreamIncomplete(f"the zstd body is damaged ({error}).") from error
            piece = self._stream.unused_data
        return output

    def _begin_another(self, piece: bytes) -> None:
        if piece[0] not in ZSTD_FIRST:
            raise SourceRefused("bytes follow the end of the zstd body.")
        self._stream, self._head = _zstd_frame(), b""

    def _look(self, piece: bytes) -> None:
        """Note a frame without a checksum: its descriptor, the byte after the magic number, says so."""
        if len(self._head) > len(ZSTD_MAGIC):
            return
        self._head += piece[: len(ZSTD_MAGIC) + 1 - len(self._head)]
        described = len(self._head) > len(ZSTD_MAGIC) and self._head.startswith(ZSTD_MAGIC)
        self.unchecked |= described and not self._head[-1] & ZSTD_CHECKSUM

    def finish(self) -> None:
        if not self._stream.eof:
            # guard: zstd end mark
            raise StreamIncomplete("the zstd body ends before its end mark.")


def _zstd_frame() -> "zstandard.ZstdDecompressionObj":  # a name that does not exist at run time
    return zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).decompressobj()


CODINGS: dict[str, type[Identity] | type[Gzip] | type[Zstd]] = {
    "identity": Identity,
    "": Identity,
    "gzip": Gzip,
    "x-gzip": Gzip,
    "zstd": Zstd,
}


def decompressor(coding: str) -> Decompressor:
    """The decompressor for a Content-Encoding.

    Raises:
        SourceRefused: a coding we never offered.
    """
    try:
        return CODINGS[coding.strip().lower()]()
    except KeyError:
        raise SourceRefused(f"the answer is coded as {coding!r}; only gzip and zstd are read.") from None


class Decompressed:
    """The bytes that a decompressor makes of those that `receive` returns, which are b"" at the end.

    `received` counts the bytes before decompression.
    """

    def __init__(self, receive: Callable[[], bytes], decompressor: Decompressor) -> None:
        self._receive = receive
        self._decompressor = decompressor
        self._expansion = Expansion()
        self._first = Pending()  # bytes that `is_empty` read
        self._fault: PlatformError | None = None
        self.received = 0

    def is_empty(self) -> bool:
        """Whether there are no bytes. Reads the first piece, which `read` returns later.

        Raises:
            PlatformError: as `read`.
        """
        if not self._first:
            self._first = Pending(self._piece(CHUNK))
        return not self._first

    def read(self, size: int = -1, /) -> bytes:
        """`size` bytes, fewer before the end; b"" at the end.

        A socket gives 70 KB at a time at the median, and a parser's fixed cost per piece is that of 10 KB. So pieces
        are joined.

        Raises:
            StreamIncomplete: the compression stopped before its end.
            SourceRefused: it expands more than real data does.
            PlatformError: as `receive`.
        """
        if self._fault:
            raise self._fault
        left = size if size > 0 else CHUNK
        pieces = []
        try:
            while left and (piece := self._piece(left)):
                pieces.append(piece)
                left -= len(piece)
        except PlatformError as error:
            if not pieces:
                raise
            self._fault = error  # the next read raises it, after the bytes before it
        return b"".join(pieces)

    def beginning(self, size: int) -> bytes:
        """All bytes, or the first `size`.

        Raises:
            PlatformError: as `read`, also if some bytes came before.
        """
        body = self.read(size)
        # guard: a small answer is not cut
        if self._fault:
            raise self._fault
        return body

    def _piece(self, limit: int) -> bytes:
        if self._first:
            return self._first.cut(limit)
        while not (piece := self._decompressor.take(limit)):
            chunk = self._receive()
            if not chunk:
                self._decompressor.finish()
                return b""
            self.received += len(chunk)
            self._decompressor.give(chunk)
        self._expansion.check(self.received, len(piece))
        return piece
