"""Decoding in more than one process: blocks of records leave for another one, and come back cast, in order.

The others take the blocks that they are free for, this one all the rest: it waits for none as long as there is
something to read, and one that dies costs nothing but its speed. A block that a process cannot take without complaint
is decoded here once more: what is wrong with it is said in one place.
"""

import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context, parent_process
from threading import Thread

from flows_platform.domain.errors import SourceRefused
from flows_platform.domain.schema import TableSchema
from flows_platform.wire.casting import Casted, NotFlatError, Slice, cast_slice, joined
from flows_platform.wire.decode.documents import Block
from flows_platform.wire.raw_records import Records

WAITING = 3  # blocks for each other process: one at work, the others on their way
SWITCH = 0.0005  # seconds until a thread that hands blocks over gets its turn: 5 ms let the other process wait
START_AFTER = 1 << 22  # bytes of blocks: in the half second that a process takes to start, this one decodes 10 MB
HELD = 16  # results that wait for one before them: a quarter of a megabyte each


@dataclass(frozen=True, slots=True)
class Cast:
    """A slice or block, cast, with positions from 0 on.

    Where rows were mapped: `sent` has what each was made of, `records` the number of records that they came in.
    """

    casted: Casted
    sent: Records = field(default_factory=list)
    records: int | None = None


@dataclass(slots=True, eq=False)
class Decoders:
    """`processes` of them, this one included.

    The others start once `start_after` bytes of blocks have come, and end with `close`.
    """

    processes: int = 1
    start_after: int = START_AFTER
    _seen: int = 0  # bytes of blocks
    _switch: float = 0.0  # what this process had
    _pool: ProcessPoolExecutor | None = None
    _started: Future[Cast | None] | None = None  # half a second: this process decodes meanwhile
    _waiting: list[Future[Cast | None]] = field(default_factory=list)

    def submit(self, schema: TableSchema, extra: str | None, block: Block) -> Future[Cast | None] | None:
        """`cast_block` in another process; None where none is free."""
        self._seen += len(block.content)
        if self._seen < self.start_after:
            return None
        self._waiting = [each for each in self._waiting if not each.done()]
        if len(self._waiting) >= WAITING * (self.processes - 1):
            return None
        try:
            if self._pool is None:
                # Fresh interpreters: threads of this one may hold locks, which a fork would copy.
                self._pool = ProcessPoolExecutor(self.processes - 1, get_context("spawn"), _become_decoder)
                self._switch = sys.getswitchinterval()
                sys.setswitchinterval(SWITCH)
                self._started = self._pool.submit(cast_block, schema, extra, block)
            if self._started and not self._started.done():
                return None
            future = self._pool.submit(cast_block, schema, extra, block)
        except BrokenProcessPool:
            return None
        self._waiting.append(future)
        return future

    def close(self) -> None:
        """End the other processes, which lets their blocks go."""
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
            sys.setswitchinterval(self._switch)


ALONE = Decoders()


def cast_slices(schema: TableSchema, extra: str | None, slices: Iterable[Slice]) -> Cast:
    """Slices that follow each other as one."""
    return Cast(joined([cast_slice(schema, part, 0, extra) for part in slices]))


def cast_block(schema: TableSchema, extra: str | None, block: Block) -> Cast | None:
    """A block's records, positions from 0 on; None where one does not fit, or the document's own decoder must look."""
    try:
        records = block.flat([name for name in schema.names if name != extra])
    except (SourceRefused, NotFlatError):
        return None
    casted = cast_slice(schema, records, 0, extra)
    return None if casted.rejects else Cast(casted)


@dataclass(slots=True)
class _Part[P, T]:
    part: P
    result: Future[T | None]

    def get(self, here: Callable[[P], T]) -> T:
        try:
            result = self.result.result()
        except BrokenProcessPool:
            result = None
        return here(self.part) if result is None else result


def in_order[P, T](
    parts: Iterable[P], here: Callable[[P], T], elsewhere: Callable[[P], Future[T | None] | None]
) -> Generator[T]:
    """What becomes of each part, in their order: made elsewhere where that takes it and makes something of it."""
    held: deque[_Part[P, T]] = deque()
    try:
        for part in parts:
            held.append(_Part(part, elsewhere(part) or _done(here(part))))
            while held and (held[0].result.done() or len(held) > HELD):
                yield held.popleft().get(here)
        while held:
            yield held.popleft().get(here)
    finally:
        for each in held:
            each.result.cancel()


def _done[T](result: T) -> Future[T | None]:
    future: Future[T | None] = Future()
    future.set_result(result)
    return future


def _become_decoder() -> None:
    """Leave Ctrl-C to the parent, and end with it, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if parent := parent_process():
        parent.join()
    os._exit(1)
