"""Seventeen ways in which the transfer of a body may end, each given the part of the body that comes."""

import zlib
from collections.abc import Callable

import zstandard

from tests.fetch.scripted import Reset

type Framing = Callable[[str, bytes, bytes], bytes]


def _head(kind: str, *fields: str, version: str = "1.1") -> bytes:
    lines = [f"HTTP/{version} 200 OK", f"Content-Type: {kind}", "Connection: close", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _length(kind: str, size: int, *fields: str) -> bytes:
    return _head(kind, f"Content-Length: {size}", *fields)


def chunked(kind: str, data: bytes, *fields: str) -> bytes:
    pieces = [data[start : start + 700] for start in range(0, len(data), 700)]
    return _head(kind, "Transfer-Encoding: chunked", *fields) + b"".join(
        b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces
    )


def _flushed_gzip(part: bytes) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH)


def _gzip(part: bytes) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(part) + packer.flush()


def _flushed_zstd(part: bytes) -> bytes:
    packer = zstandard.ZstdCompressor().compressobj()
    return packer.compress(part) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)


GZIP, ZSTD = "Content-Encoding: gzip", "Content-Encoding: zstd"
END = b"0\r\n\r\n"

# (content type, the chunk that comes, the whole body) to the bytes on the wire.
FRAMINGS: dict[str, Framing] = {
    "length short": lambda kind, part, body: _length(kind, len(body)) + part,
    "length short, reset": lambda kind, part, body: Reset(_length(kind, len(body)) + part),
    "length of the chunk": lambda kind, part, _: _length(kind, len(part)) + part,
    "chunked, no terminator": lambda kind, part, _: chunked(kind, part),
    "chunked, inside a chunk": lambda kind, part, body: (
        _head(kind, "Transfer-Encoding: chunked") + b"%x\r\n" % len(body) + part
    ),
    "chunked, inside a chunk, reset": lambda kind, part, body: Reset(
        _head(kind, "Transfer-Encoding: chunked") + b"%x\r\n" % len(body) + part
    ),
    "chunked, inside a size": lambda kind, part, _: chunked(kind, part) + b"2b",
    "chunked, final line end missing": lambda kind, part, _: chunked(kind, part) + b"0\r\n",
    "chunked, clean early end": lambda kind, part, _: chunked(kind, part) + END,
    "until close": lambda kind, part, _: _head(kind) + part,
    "until close, reset": lambda kind, part, _: Reset(_head(kind) + part),
    "HTTP/1.0": lambda kind, part, _: _head(kind, version="1.0") + part,
    "gzip flushed, then cut": lambda kind, part, _: chunked(kind, _flushed_gzip(part), GZIP) + END,
    "gzip without its checksum": lambda kind, part, _: _length(kind, len(_gzip(part)) - 8, GZIP) + _gzip(part)[:-8],
    "gzip whole": lambda kind, part, _: _length(kind, len(_gzip(part)), GZIP) + _gzip(part),
    "zstd flushed, then cut": lambda kind, part, _: chunked(kind, _flushed_zstd(part), ZSTD) + END,
    "zstd whole": lambda kind, part, _: chunked(kind, zstandard.compress(part), ZSTD) + END,
}
