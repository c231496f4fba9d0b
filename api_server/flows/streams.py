"""A stream of records: opened in a worker thread, its slices made ahead of the reader, freed when it ends.

The first slice, a few rows with what comes before them, is made in the thread that opens the stream: it can be sent as
soon as the headers are, and only then are further connections opened. Does not know HTTP.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import apsw

from api_server.flows.chunks import ChunkReader
from api_server.flows.database import Snapshot
from api_server.flows.lanes import Lanes, fill
from api_server.flows.selection import Query, Selection, Selector
from api_server.http.compression import COMPRESSORS, Compressor, Piece
from api_server.http.negotiation import ContentCoding
from api_server.http.workers import Workers
from flows_platform.domain.errors import InputError
from flows_platform.domain.schema import TableSchema
from flows_platform.domain.verification import RowDigest
from flows_platform.flow_database.page_checksums import DamagedDatabase
from flows_platform.formats.protocol.encoder import Encoder, Footer

# Slices that are made or being made, beside the one that is sent: two connections never wait for the event loop.
AHEAD = 4


@dataclass(frozen=True, slots=True)
class Proof:
    """What a client asks for beyond the rows: a footer in formats that have none by themselves, a digest in it."""

    footer: bool = False
    digest: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """How the rows of a stream are written."""

    encoder: Encoder
    coding: ContentCoding = ContentCoding.IDENTITY
    proof: Proof = Proof()


@dataclass(frozen=True, slots=True)
class Slice:
    """A piece of the stream, its rows and, for a digest, the sum of their hashes."""

    piece: Piece
    rows: int
    total: int


class SliceMaker:
    """One connection of a stream."""

    def __init__(self, snapshot: Snapshot, schema: TableSchema, selection: Selection, shape: Shape) -> None:
        self._snapshot, self._start, self._encoder = snapshot, selection.first, shape.encoder
        self._reader = ChunkReader(snapshot, schema, selection, shape.encoder, digest=shape.proof.digest)
        self._prepare = COMPRESSORS[shape.coding].prepare
        self.interrupt, self.close = snapshot.interrupt, snapshot.close

    def make(self, first: int, last: int) -> Slice:
        """The rows at these positions; the first ones after what begins the stream.

        Raises:
            InputError: a row cannot be sent.
            apsw.Error: the file cannot be read, or the query was interrupted.
        """
        chunk = self._reader.read(first, last)
        data = chunk.data
        if first == self._start:
            data = self._encoder.prologue() + data.removeprefix(self._encoder.lead)
        return Slice(self._prepare(data), chunk.rows, chunk.total)


class RecordStream:
    """The bytes of one selection, as an asynchronous iterator; `close` must be called, iterated or not."""

    def __init__(self, selection: Selection, shape: Shape, lanes: Lanes[Slice], first: Future[Slice] | None) -> None:
        self.count, self.close = selection.count, lanes.close
        self._encoder, self._proof = shape.encoder, shape.proof
        self._compressor: Compressor = COMPRESSORS[shape.coding]()
        self._lanes, self._first = lanes, first
        self._spans = islice(selection.spans(shape.encoder.chunk_rows), 1, None)

    async def body(self, workers: Workers) -> AsyncIterator[bytes]:
        """Prologue, chunks, footer and epilogue, compressed.

        Raises:
            InputError: a row cannot be sent, or there are not as many as were counted.
        """
        sent = RowDigest()
        async for made in self._made():
            yield await self._joined(made.piece, workers)
            sent += RowDigest(made.rows, made.total)
        # guard: rows sent are the rows counted
        if sent.count != self.count:
            raise InputError(
                f"the stream has {sent.count} rows where {self.count} were counted: the table's facts are wrong."
            )
        ending = self._ending(sent)
        last = await self._joined(self._compressor.prepare(ending), workers) if ending else b""
        yield last + self._compressor.finish()

    async def _joined(self, piece: Piece, workers: Workers) -> bytes:
        if self._compressor.joins_at_once:
            return self._compressor.join(piece)
        return await workers.run(partial(self._compressor.join, piece))

    def _ending(self, sent: RowDigest) -> bytes:
        footer = Footer(sent.count, sent.hex if self._proof.digest else None)
        wanted = self._encoder.footer_belongs or self._proof.footer or self._proof.digest
        start = b"" if self._first else self._encoder.prologue()
        return start + (self._encoder.footer(footer) if wanted else b"") + self._encoder.epilogue()

    async def _made(self) -> AsyncIterator[Slice]:
        if self._first:
            yield self._first.result()
        ahead = deque(self._ordered(AHEAD))  # not before the first slice is on its way
        while ahead:
            future = ahead.popleft()
            # Most slices are ready before they are needed: they cost the event loop no turn.
            made = future.result() if future.done() else await asyncio.wrap_future(future)
            ahead.extend(self._ordered(1))
            if made.piece.size:
                yield made

    def _ordered(self, number: int) -> Iterator[Future[Slice]]:
        return (self._lanes.order(span) for span in islice(self._spans, number))


class StreamOpener:
    """Opens streams of one table."""

    def __init__(
        self, database: Path, schema: TableSchema, workers: Workers, lanes: int, *, compared: bool = True
    ) -> None:
        self._database, self._schema, self._workers, self._lanes = database, schema, workers, lanes
        self._compared = compared

    def count(self, query: Query) -> int:
        """The number of rows a query has. Runs SQL: call it in a worker thread.

        Raises:
            InputError: the database cannot be read.
        """
        snapshot = Snapshot.open(self._database, self._schema, compared=self._compared)
        try:
            return Selector(snapshot, self._schema, query).count()
        finally:
            snapshot.close()

    def open(self, query: Query, shape: Shape) -> RecordStream:
        """A stream of the query's rows, count and rows from one transaction. Runs SQL: call it in a worker thread.

        Raises:
            InputError: the database cannot be read.
            DamagedDatabase: it is damaged where the stream begins.
        """
        snapshot = Snapshot.open(self._database, self._schema, compared=self._compared)
        try:
            selection = Selector(snapshot, self._schema, query).select()
            maker = SliceMaker(snapshot, self._schema, selection, shape)
            first = self._first(selection, shape, maker)
        except BaseException:
            snapshot.close()
            raise

        def another() -> SliceMaker | None:
            twin = snapshot.twin(self._schema)
            return None if twin is None else SliceMaker(twin, self._schema, selection, shape)

        # Only a long stream gains from further connections.
        several = selection.shared and selection.count > shape.encoder.chunk_rows and snapshot.can_have_twins
        lanes = Lanes(self._workers, maker, another, self._lanes if several else 1)
        return RecordStream(selection, shape, lanes, first)

    def _first(self, selection: Selection, shape: Shape, maker: SliceMaker) -> Future[Slice] | None:
        """The outcome of the first slice, None where there is no row.

        Its error breaks the stream off, except for a file that cannot be read: a problem document answers that.
        """
        span = next(selection.spans(shape.encoder.chunk_rows), None)
        if span is None:
            return None
        first: Future[Slice] = Future()
        fill(span, first, maker)
        # guard: damage before the first byte is a problem
        if isinstance(error := first.exception(), DamagedDatabase | apsw.Error):
            raise error
        return first
