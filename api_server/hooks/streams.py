"""Streams the records of a range: reads several at a time, and sends them in order."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol

from flows_platform.domain.verification import RowDigest
from flows_platform.formats.json.lines_encode import end_member
from flows_platform.formats.protocol.encoder import Footer
from flows_platform.formats.protocol.line_digest import lines_digest
from flows_platform.stores.object_store import ObjectTooLarge
from flows_platform.webhooks.archive import record_id_of
from flows_platform.webhooks.archived_records import ArchivedRecord, RecordReader
from flows_platform.webhooks.key_list import KeyList

AT_ONCE = 32  # records that are read at a time: an object store takes some milliseconds for each
# Bytes up to which a record, or its detail, is read at the same time as others: 16 MB in all. Larger ones are read one
# after the other, when it is their turn.
SMALL = 256 << 10
TOGETHER = 1 << 20  # bytes after which records are sent


class Read(Protocol):
    """Reads one record."""

    def __call__(self, *, most: int | None = None) -> ArchivedRecord:
        """The record.

        Raises:
            ObjectTooLarge: the record or its detail has more than `most` bytes.
        """


class RecordStreams:
    """Streams archived records. All streams share its threads."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="reading")

    async def run[T](self, work: Callable[[], T]) -> T:
        """The result of work that is done in one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def lines(self, reader: RecordReader, keys: KeyList, *, footer: bool, digest: bool) -> AsyncIterator[bytes]:
        """The records as lines of JSON.

        Args:
            reader: Reads the records.
            keys: Their keys.
            footer: Whether a last line has the number of records.
            digest: Whether a last line has their number and a digest of the lines.

        Raises:
            StorageError: a record cannot be read.
        """
        sent = RowDigest()
        async for found in self._read(reader, keys):
            lines = [record.line() for record in found]
            sent += lines_digest(lines) if digest else RowDigest(len(lines))
            yield b"\n".join([*lines, b""])
        if footer or digest:
            yield f"{{{end_member(Footer(sent.count, sent.hex if digest else None))}}}\n".encode()

    async def members(
        self, reader: RecordReader, keys: KeyList, write: Callable[[ArchivedRecord], bytes]
    ) -> AsyncIterator[bytes]:
        """The records as elements of a JSON array, without its brackets.

        Args:
            reader: Reads the records.
            keys: Their keys.
            write: Writes a record as JSON.

        Raises:
            StorageError: a record cannot be read.
        """
        comma = b""
        async for found in self._read(reader, keys):
            # Writing may wait until a delivery is parsed.
            yield comma + await self.run(partial(_joined, write, found))
            comma = b","

    async def found(self, reader: RecordReader, key: str) -> ArchivedRecord:
        """The record with this key.

        Raises:
            StorageError: it cannot be read.
        """
        (read,) = await self._reads(reader, [key])
        return await self.run(read)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()

    async def _read(self, reader: RecordReader, keys: KeyList) -> AsyncIterator[list[ArchivedRecord]]:
        """The records in their order, several at a time. Few bytes are held, whatever the sizes of the records."""
        chunks = keys.chunks(AT_ONCE)
        while chunk := await self.run(partial(next, chunks, [])):
            reads = await self._reads(reader, chunk)
            waiting = deque(await self._all(partial(_small, read) for read in reads))
            together: list[ArchivedRecord] = []
            for read in reads:
                small = waiting.popleft()  # what was sent is not held
                together.append(await self.run(read) if small is None else small)
                if sum(map(_size, together)) >= TOGETHER:
                    yield together
                    together = []
            if together:
                yield together

    async def _reads(self, reader: RecordReader, keys: list[str]) -> list[Read]:
        """What reads each of the records."""
        ids = list(map(record_id_of, keys))
        states = await self.run(lambda: reader.states(ids))
        return [partial(reader.read, key, states.get(one)) for key, one in zip(keys, ids, strict=True)]

    async def _all[T](self, work: Iterable[Callable[[], T]]) -> list[T]:
        return await asyncio.gather(*map(self.run, work))


def _small(read: Read) -> ArchivedRecord | None:
    """The record; None for one that is not small."""
    # guard: large records are not read at once
    try:
        return read(most=SMALL)
    except ObjectTooLarge:
        return None


def _joined(write: Callable[[ArchivedRecord], bytes], records: Iterable[ArchivedRecord]) -> bytes:
    return b",".join(map(write, records))


def _size(found: ArchivedRecord) -> int:
    return len(found.webhook) + len(found.detail or b"")
