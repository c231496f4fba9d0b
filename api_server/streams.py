"""A stream of records: opened in a worker thread, its chunks formatted ahead of the reader, freed when it ends.

Every connection of a stream is a lane: chunk i runs on lane i modulo n, and each lane works at most one chunk ahead, so
a stream holds n chunks whatever it streams. Knows no HTTP.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from api_server.chunks import Chunk, ChunkReader
from api_server.database import Snapshot
from api_server.selection import Query, Selection, Selector
from flows_platform.domain.errors import InputError
from flows_platform.domain.schema import TableSchema
from flows_platform.domain.verification import RowDigest
from flows_platform.wire.encode.encoder import Encoder, Footer


@dataclass(frozen=True, slots=True)
class Proof:
    """What a client asks for beyond the rows: a footer in formats that have none of themselves, a digest in it."""

    footer: bool = False
    digest: bool = False


class Lane:
    """One connection and the chunk it is working on."""

    def __init__(self, snapshot: Snapshot, reader: ChunkReader, pool: ThreadPoolExecutor) -> None:
        self._snapshot, self._reader, self._pool = snapshot, reader, pool
        self._running: Future[Chunk] | None = None
        self._closed = False

    def start(self, first: int, last: int) -> Future[Chunk]:
        """Format a span; the span before it must be done."""
        self._running = self._pool.submit(self._reader.read, first, last)
        return self._running

    def close(self) -> None:
        """Stop what runs and free the connection, here or in the thread that uses it. Never blocks."""
        if self._closed:
            return
        self._closed = True
        if self._running is None:
            self._snapshot.close()
            return
        self._snapshot.interrupt()
        self._running.cancel()
        self._running.add_done_callback(lambda _: self._snapshot.close())


class RecordStream:
    """The bytes of one selection, as an asynchronous iterator; `close` must be called, iterated or not."""

    def __init__(self, lanes: Sequence[Lane], selection: Selection, encoder: Encoder, proof: Proof) -> None:
        self.count = selection.count
        self._lanes = lanes
        self._encoder, self._proof = encoder, proof
        self._turns = zip(cycle(lanes), selection.spans(encoder.chunk_rows), strict=False)

    async def parts(self) -> AsyncIterator[bytes]:
        """Prologue, chunks, footer and epilogue.

        Raises:
            InputError: a row cannot be sent, or there are not as many as were counted.
        """
        yield self._encoder.prologue()
        sent = RowDigest()
        async for chunk in self._chunks():
            yield (self._encoder.separator if sent.count else b"") + chunk.data
            sent += RowDigest(chunk.rows, chunk.total)
        if sent.count != self.count:
            raise InputError(
                f"the stream has {sent.count} rows where {self.count} were counted: the table's facts are wrong."
            )
        yield self._ending(sent)

    def _ending(self, sent: RowDigest) -> bytes:
        footer = Footer(sent.count, sent.hex if self._proof.digest else None)
        wanted = self._encoder.footer_belongs or self._proof.footer or self._proof.digest
        return (self._encoder.footer(footer) if wanted else b"") + self._encoder.epilogue()

    async def _chunks(self) -> AsyncIterator[Chunk]:
        ahead = deque(self._started(len(self._lanes)))
        while ahead:
            chunk = await asyncio.wrap_future(ahead.popleft())
            ahead.extend(self._started(1))
            if chunk.rows:
                yield chunk

    def _started(self, number: int) -> Iterator[Future[Chunk]]:
        return (lane.start(*span) for lane, span in islice(self._turns, number))

    def close(self) -> None:
        """Free every connection at once. May be called twice."""
        for lane in self._lanes:
            lane.close()


class StreamOpener:
    """Opens streams of one table."""

    def __init__(self, database: Path, schema: TableSchema, pool: ThreadPoolExecutor, lanes: int) -> None:
        self._database, self._schema, self._pool, self._lanes = database, schema, pool, lanes

    def count(self, query: Query) -> int:
        """The number of rows a query has. Runs SQL: call it in a worker thread.

        Raises:
            InputError: the database cannot be read.
        """
        snapshot = Snapshot.open(self._database, self._schema)
        try:
            return Selector(snapshot, self._schema, query).count()
        finally:
            snapshot.close()

    def open(self, query: Query, encoder: Encoder, proof: Proof) -> RecordStream:
        """A stream of the query's rows, count and rows from one transaction. Runs SQL: call it in a worker thread.

        Raises:
            InputError: the database cannot be read.
        """
        snapshots = [Snapshot.open(self._database, self._schema)]
        try:
            selection = Selector(snapshots[0], self._schema, query).select()
            snapshots += self._twins(snapshots[0], selection, encoder)
            readers = [
                ChunkReader(snapshot, self._schema, selection, encoder, digest=proof.digest) for snapshot in snapshots
            ]
        except BaseException:
            for snapshot in snapshots:
                snapshot.close()
            raise
        lanes = [Lane(snapshot, reader, self._pool) for snapshot, reader in zip(snapshots, readers, strict=True)]
        return RecordStream(lanes, selection, encoder, proof)

    def _twins(self, snapshot: Snapshot, selection: Selection, encoder: Encoder) -> Iterator[Snapshot]:
        """Further connections, where the stream is long enough to gain from them."""
        if not selection.shared or selection.count <= encoder.chunk_rows:
            return
        for _ in range(self._lanes - 1):
            twin = snapshot.twin(self._schema)
            if twin is not None:
                yield twin
