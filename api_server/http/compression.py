"""Compression of a stream while it is sent: one gzip member or one zstd frame, decodable up to every piece's end.

Several members or frames would be valid, but curl and httpx stop silently after the first. The pieces of a gzip member
are deflated independently, in the threads that made them, and joined in order: deflate streams that end on a whole byte
can be concatenated, and CRCs can be combined. The blocks of a zstd frame build on each other.
"""

import struct
from dataclasses import dataclass
from typing import Protocol

import zstandard
from isal import isal_zlib

from api_server.http.negotiation import ContentCoding

LEVEL = 1  # isal's level 1 and zstd's level 1 keep up with the formatting; stdlib gzip is five times slower
RAW = -15  # how zlib is asked for a deflate stream without header and trailer
# RFC 1952: magic, deflate, no flags, no time, the fastest algorithm, an unknown system.
GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"
LAST_BLOCK = b"\x03\x00"  # the end of deflate: an empty last block
SIZE_MODULUS = 2**32


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of the stream after `prepare`; `size` and `crc` are those of the bytes that went in."""

    data: bytes
    size: int
    crc: int = 0


class Compressor(Protocol):
    """Takes a stream piece by piece and returns what can be sent; only `finish` writes the end mark."""

    @property
    def joins_at_once(self) -> bool:
        """Whether `join` is too short to be worth a thread."""

    @staticmethod
    def prepare(data: bytes) -> Piece:
        """Do what needs no other piece, in any thread and in any order."""

    def join(self, piece: Piece) -> bytes:
        """The next bytes of the stream; a reader can decode all pieces so far."""

    def finish(self) -> bytes:
        """The end of the member or frame."""


class Identity:
    """No compression."""

    joins_at_once = True

    @staticmethod
    def prepare(data: bytes) -> Piece:
        return Piece(data, len(data))

    def join(self, piece: Piece) -> bytes:
        return piece.data

    def finish(self) -> bytes:
        return b""


class GzipCompressor:
    """One gzip member, by isal."""

    joins_at_once = True

    def __init__(self) -> None:
        self._head = GZIP_HEAD
        self._crc = self._size = 0

    @staticmethod
    def prepare(data: bytes) -> Piece:
        stream = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, RAW)
        deflated = stream.compress(data) + stream.flush(isal_zlib.Z_SYNC_FLUSH)
        return Piece(deflated, len(data), isal_zlib.crc32(data))

    def join(self, piece: Piece) -> bytes:
        head, self._head = self._head, b""
        self._crc = isal_zlib.crc32_combine(self._crc, piece.crc, piece.size)
        self._size += piece.size
        return head + piece.data

    def finish(self) -> bytes:
        return self._head + LAST_BLOCK + struct.pack("<II", self._crc, self._size % SIZE_MODULUS)


class ZstdCompressor:
    """One zstd frame, with the checksum of its content: without it one changed byte in ten would go unnoticed."""

    joins_at_once = False

    def __init__(self) -> None:
        self._stream = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compressobj()

    @staticmethod
    def prepare(data: bytes) -> Piece:
        return Piece(data, len(data))

    def join(self, piece: Piece) -> bytes:
        return self._stream.compress(piece.data) + self._stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def finish(self) -> bytes:
        return self._stream.flush(zstandard.COMPRESSOBJ_FLUSH_FINISH)


COMPRESSORS: dict[ContentCoding, type[Compressor]] = {
    ContentCoding.GZIP: GzipCompressor,
    ContentCoding.ZSTD: ZstdCompressor,
    ContentCoding.IDENTITY: Identity,
}


def compressed(body: bytes, coding: ContentCoding) -> bytes:
    """A complete answer in that coding."""
    compressor = COMPRESSORS[coding]()
    return compressor.join(compressor.prepare(body)) + compressor.finish()
