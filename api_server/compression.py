"""Compression of a stream as it goes: one gzip member or one zstd frame, flushed chunk by chunk.

Several members or frames would be valid, but curl and httpx stop silently after the first.
"""

from typing import Protocol

import zstandard
from isal import isal_zlib

from api_server.negotiation import ContentCoding

GZIP_WINDOW_BITS = 31  # zlib's way of asking for a gzip header and trailer
LEVEL = 1  # isal's level 1 and zstd's level 1 keep up with the formatting; stdlib gzip is five times slower


class Compressor(Protocol):
    """Takes bytes and gives what can be sent; only `finish` writes the end mark."""

    def add(self, data: bytes) -> bytes:
        """The compressed form, whole up to here: a reader can decode all that was added."""

    def finish(self) -> bytes:
        """The end of the member or frame."""


class GzipCompressor:
    """One gzip member, by isal."""

    def __init__(self) -> None:
        self._stream = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, GZIP_WINDOW_BITS)

    def add(self, data: bytes) -> bytes:
        return self._stream.compress(data) + self._stream.flush(isal_zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self._stream.flush(isal_zlib.Z_FINISH)


class ZstdCompressor:
    """One zstd frame."""

    def __init__(self) -> None:
        self._stream = zstandard.ZstdCompressor(level=LEVEL).compressobj()

    def add(self, data: bytes) -> bytes:
        return self._stream.compress(data) + self._stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def finish(self) -> bytes:
        return self._stream.flush(zstandard.COMPRESSOBJ_FLUSH_FINISH)


COMPRESSORS: dict[ContentCoding, type[Compressor] | None] = {
    ContentCoding.GZIP: GzipCompressor,
    ContentCoding.ZSTD: ZstdCompressor,
    ContentCoding.IDENTITY: None,
}
