"""Checks the messages of an Arrow IPC stream before Arrow gets them: claimed sizes, compression, dictionaries.

Arrow allocates what a header claims: a body of terabytes, or a buffer that claims to inflate to that size. The headers
are flatbuffers (https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format, Message.fbs). This module
reads five of their fields.
"""

import io
import struct
from collections.abc import Buffer

from flows_platform.domain.errors import SourceRefused, StreamIncomplete
from flows_platform.formats.protocol.metered_reader import ByteSource

MAX_METADATA = 1 << 20
MAX_BODY = 32 << 20  # bytes of one batch; the API server's batches have half a megabyte
MAX_ROWS = 1 << 22  # rows of one batch
CONTINUATION = 0xFFFFFFFF
SCHEMA, RECORD_BATCH = 1, 3
KINDS = {2: "a dictionary", 4: "a tensor", 5: "a sparse tensor"}

# Field numbers in the tables of Message.fbs.
_HEADER_TYPE, _HEADER, _BODY_LENGTH = 1, 2, 3
_BATCH_LENGTH, _BATCH_COMPRESSION = 0, 3


class Table:
    """A flatbuffer table, whose fields have numbers; an absent field is 0 or None."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data, self._position = data, position
        self._vtable = position - _read("<i", data, position)
        self._size = _read("<H", data, self._vtable)

    def _field(self, number: int) -> int | None:
        entry = 4 + 2 * number
        offset = _read("<H", self._data, self._vtable + entry) if entry < self._size else 0
        return self._position + offset if offset else None

    def integer(self, number: int, form: str) -> int:
        position = self._field(number)
        return 0 if position is None else _read(form, self._data, position)

    def table(self, number: int) -> "Table | None":
        position = self._field(number)
        return None if position is None else Table(self._data, position + _read("<I", self._data, position))


def _read(form: str, data: bytes, position: int) -> int:
    if position < 0:
        raise struct.error("an offset before the header's start")
    return int(struct.unpack_from(form, data, position)[0])


def body_length(metadata: bytes) -> int:
    """The number of bytes that follow a message's header.

    Raises:
        SourceRefused: a stream of records does not need such a message, or it claims too many bytes or rows.
    """
    try:
        message = Table(metadata, _read("<I", metadata, 0))
        kind, length = message.integer(_HEADER_TYPE, "<B"), message.integer(_BODY_LENGTH, "<q")
        header = message.table(_HEADER)
        if kind == RECORD_BATCH and header:
            _check_batch(header)
    except struct.error as error:
        raise SourceRefused(f"the answer is not an Arrow stream (a header is not a flatbuffer: {error}).") from error
    if kind not in {SCHEMA, RECORD_BATCH} or header is None:
        raise SourceRefused(
            f"the Arrow stream contains {KINDS.get(kind, f'a message of kind {kind}')}, not only plain batches."
        )
    if not 0 <= length <= MAX_BODY:
        raise SourceRefused(f"an Arrow batch claims {length:,} bytes; at most {MAX_BODY:,} are allowed.")
    return length


def _check_batch(header: Table) -> None:
    rows = header.integer(_BATCH_LENGTH, "<q")
    if not 0 <= rows <= MAX_ROWS:
        raise SourceRefused(f"an Arrow batch claims {rows:,} rows; at most {MAX_ROWS:,} are allowed.")
    if header.table(_BATCH_COMPRESSION):
        raise SourceRefused(
            "the Arrow stream compresses its buffers.", remedy="Compress the transfer instead: gzip or zstd."
        )


class MessageReader(io.RawIOBase):
    """The stream as a file, one message at a time."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._message = memoryview(b"")
        self.enclosed = False  # whether the end mark has come

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        if not self._message and not self.enclosed:
            self._message = memoryview(self._next())
        view = memoryview(buffer).cast("B")
        size = min(len(view), len(self._message))
        view[:size] = self._message[:size]
        self._message = self._message[size:]
        return size

    def _next(self) -> bytes:
        """The next complete message, the end mark, or b"" if the stream just ends."""
        prefix = self._exactly(8, may_end=True)
        if not prefix:
            return b""
        continuation, size = struct.unpack("<II", prefix)
        if continuation != CONTINUATION or size > MAX_METADATA:
            raise SourceRefused(f"the answer is not an Arrow stream (a message starts with {prefix!r}).")
        if size == 0:
            self.enclosed = True
            return prefix
        metadata = self._exactly(size)
        return b"".join((prefix, metadata, self._exactly(body_length(metadata))))

    def _exactly(self, size: int, *, may_end: bool = False) -> bytes:
        pieces: list[bytes] = []
        missing = size
        while missing and (piece := self._source.read(missing)):
            pieces.append(piece)
            missing -= len(piece)
        if missing and not (may_end and missing == size):
            raise StreamIncomplete("the Arrow stream ends inside a message.")
        return b"".join(pieces)
