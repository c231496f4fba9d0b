"""The frames of an Arrow IPC stream, each looked at before Arrow sees it: sizes claimed, compression, dictionaries.

Arrow allocates what a header claims: a body of terabytes, or a buffer that says it inflates to so much. The headers are
flatbuffers (https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format, Message.fbs); five of their fields
are read here.
"""

import io
import struct
from collections.abc import Buffer

from flows_platform.domain.errors import SourceRefused, StreamIncomplete
from flows_platform.formats.protocol.metered_reader import ByteSource

MAX_METADATA = 1 << 20
MAX_BODY = 32 << 20  # bytes of one batch; our own server's have half a megabyte
MAX_ROWS = 1 << 22  # of one batch
CONTINUATION = 0xFFFFFFFF
SCHEMA, RECORD_BATCH = 1, 3
KINDS = {2: "a dictionary", 4: "a tensor", 5: "a sparse tensor"}

# Places in the tables of Message.fbs.
_HEADER_TYPE, _HEADER, _BODY_LENGTH = 1, 2, 3
_BATCH_LENGTH, _BATCH_COMPRESSION = 0, 3


class Table:
    """A flatbuffer table: fields by their place, absent ones None."""

    def __init__(self, data: bytes, place: int) -> None:
        self._data, self._place = data, place
        self._vtable = place - _read("<i", data, place)
        self._size = _read("<H", data, self._vtable)

    def _field(self, number: int) -> int | None:
        entry = 4 + 2 * number
        offset = _read("<H", self._data, self._vtable + entry) if entry < self._size else 0
        return self._place + offset if offset else None

    def integer(self, number: int, form: str) -> int:
        place = self._field(number)
        return 0 if place is None else _read(form, self._data, place)

    def table(self, number: int) -> "Table | None":
        place = self._field(number)
        return None if place is None else Table(self._data, place + _read("<I", self._data, place))


def _read(form: str, data: bytes, place: int) -> int:
    if place < 0:
        raise struct.error("an offset before the header's start")
    return int(struct.unpack_from(form, data, place)[0])


def body_length(metadata: bytes) -> int:
    """The bytes that follow a message's header.

    Raises:
        SourceRefused: the message is none that a stream of records needs, or claims too much.
    """
    try:
        message = Table(metadata, _read("<I", metadata, 0))
        kind, length = message.integer(_HEADER_TYPE, "<B"), message.integer(_BODY_LENGTH, "<q")
        header = message.table(_HEADER)
        if kind == RECORD_BATCH and header:
            _check_batch(header)
    except struct.error as error:
        raise SourceRefused(f"the answer is not an Arrow stream (a header that is no flatbuffer: {error}).") from error
    if kind not in {SCHEMA, RECORD_BATCH} or header is None:
        raise SourceRefused(
            f"the Arrow stream holds {KINDS.get(kind, f'a message of kind {kind}')}, not plain batches."
        )
    if not 0 <= length <= MAX_BODY:
        raise SourceRefused(f"an Arrow batch claims {length:,} bytes; {MAX_BODY:,} are read.")
    return length


def _check_batch(header: Table) -> None:
    rows = header.integer(_BATCH_LENGTH, "<q")
    if not 0 <= rows <= MAX_ROWS:
        raise SourceRefused(f"an Arrow batch claims {rows:,} rows; {MAX_ROWS:,} are read.")
    if header.table(_BATCH_COMPRESSION):
        raise SourceRefused(
            "the Arrow stream compresses its buffers.", remedy="Compress the transfer instead: gzip or zstd."
        )


class MessageReader(io.RawIOBase):
    """The stream as a file, message by message."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._message = memoryview(b"")
        self.enclosed = False  # the end mark was seen

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
        """The next message whole, the end mark, or b"" where the stream just ends."""
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
