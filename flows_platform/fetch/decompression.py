"""Content codings, bounded and strict: output comes in pieces, and the end mark and checksum must have been seen."""

import zlib
from typing import Protocol

import zstandard

from flows_platform.domain.errors import SourceRefused, StreamIncomplete

# A zstd block of four bytes can hold 128 KiB; 512 bytes of input at a time keep one call's output under 16 MiB.
ZSTD_PIECE = 512
ZSTD_WINDOW = 1 << 23  # bytes; what RFC 9659 lets an HTTP server use, and a decoder must hold
MAX_EXPANSION = 250  # times; records shrink 10 to 20 times, gzip's limit is 1,032
FREE_EXPANSION = 64 << 20  # bytes before the ratio is looked at


class Decompressor(Protocol):
    """Bytes in by `give`, bytes out by `take`, and `finish` once there is no more input."""

    def give(self, chunk: bytes) -> None: ...
    def take(self, limit: int) -> bytes: ...
    def finish(self) -> None: ...


class Expansion:
    """The bytes that came of those received; a bomb's ratio is no data's."""

    def __init__(self) -> None:
        self._total = 0

    def check(self, received: int, more: int) -> None:
        """Count `more` bytes.

        Raises:
            SourceRefused: they are too many for what was received.
        """
        self._total += more
        if self._total > FREE_EXPANSION and self._total > MAX_EXPANSION * received:
            raise SourceRefused(
                f"the compressed answer expands more than {MAX_EXPANSION} times: {received:,} bytes to {self._total:,}."
            )


class Identity:
    """No coding at all."""

    def __init__(self) -> None:
        self._pending = Pending()

    def give(self, chunk: bytes) -> None:
        self._pending = Pending(chunk)

    def take(self, limit: int) -> bytes:
        return self._pending.cut(limit)

    def finish(self) -> None:
        """Nothing marks the end; the transfer's framing did."""


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
    """One gzip member (RFC 1952), with its checksum."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=31)
        self._rest = b""

    def give(self, chunk: bytes) -> None:
        if self._stream.eof:
            raise SourceRefused("bytes follow the end of the gzip body.")
        self._rest = chunk

    def take(self, limit: int) -> bytes:
        try:
            piece = self._stream.decompress(self._rest, limit)
        except zlib.error as error:
            raise StreamIncomplete(f"the gzip body is damaged ({error}).") from error
        if self._stream.unused_data:
            raise SourceRefused("bytes follow the end of the gzip body.")
        self._rest = self._stream.unconsumed_tail
        return piece

    def finish(self) -> None:
        if not self._stream.eof:
            raise StreamIncomplete("the gzip body ends before its end mark and checksum.")


class Zstd:
    """One zstd frame (RFC 8878)."""

    def __init__(self) -> None:
        self._stream = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).decompressobj()
        self._input = Pending()
        self._output = Pending()

    def give(self, chunk: bytes) -> None:
        self._input = Pending(chunk)

    def take(self, limit: int) -> bytes:
        while not self._output and self._input:
            self._output = Pending(self._decompressed(self._input.cut(ZSTD_PIECE)))
        return self._output.cut(limit)

    def _decompressed(self, piece: bytes) -> bytes:
        if self._stream.eof:
            raise SourceRefused("bytes follow the end of the zstd body.")
        try:
            output = self._stream.decompress(piece)
        except zstandard.ZstdError as error:
            raise StreamIncomplete(f"the zstd body is damaged ({error}).") from error
        if self._stream.unused_data:
            raise SourceRefused("bytes follow the end of the zstd body.")
        return output

    def finish(self) -> None:
        if not self._stream.eof:
            raise StreamIncomplete("the zstd body ends before its end mark.")


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
