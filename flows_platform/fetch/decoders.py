"""Decoding in more than one process: blocks of records leave for another one, and come back cast, in order.

The others take the blocks that they are free for, this one all the rest: it waits for none as long as there is
something to read, and one that dies costs nothing but its speed. A block that a process cannot take without complaint
is decoded here once more: what is wrong with it is said in one place.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Protocol

from flows_platform.domain.errors import MalformedDocument, SourceRefused
from flows_platform.domain.schema import TableSchema
from flows_platform.fetch.worker_process import Pending, WorkerProcess
from flows_platform.wire.casting import Casted, NotFlatError, Slice, cast_slice, joined
from flows_platform.wire.decode.documents import Block
from flows_platform.wire.raw_records import Records

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
    """`processes` of them, this one included; for one thread at a time.

    The others start once `start_after` bytes of blocks have come, and end with `close`.
    """

    processes: int = 1
    start_after: int = START_AFTER
    _seen: int = 0  # bytes of blocks
    _workers: list[WorkerProcess[Cast]] = field(default_factory=list)

    def submit(self, schema: TableSchema, extra: str | None, block: Block) -> Pending[Cast] | None:
        """`cast_block` in another process; None where none is free."""
        self._seen += len(block.content)
        if self._seen < self.start_after:
            return None
        if not self._workers:
            self._workers = [WorkerProcess(cast_block) for _ in range(self.processes - 1)]
        for worker in sorted(self._workers, key=attrgetter("waiting")):
            if taken := worker.take(schema, extra, block):
                return taken
        return None

    def close(self) -> None:
        """End the other processes."""
        while self._workers:
            self._workers.pop().close()


ALONE = Decoders()


def cast_slices(schema: TableSchema, extra: str | None, slices: Iterable[Slice]) -> Cast:
    """Slices that follow each other as one."""
    return Cast(joined([cast_slice(schema, part, 0, extra) for part in slices]))


def cast_block(schema: TableSchema, extra: str | None, block: Block) -> Cast | None:
    """A block's records, positions from 0 on; None where one does not fit, or the document's own decoder must look."""
    try:
        records = block.flat([column for column in schema.columns if column.name != extra])
        casted = cast_slice(schema, records, 0, extra)
    except (SourceRefused, MalformedDocument, NotFlatError):
        return None
    return None if casted.rejects else Cast(casted)


class Result[T](Protocol):
    """What becomes of a part."""

    def ready(self) -> bool:
        """Whether it need not be waited for."""

    def get(self) -> T | None:
        """Waits for it; None if nothing was made of the part."""


@dataclass(frozen=True, slots=True)
class Made[T]:
    """A result that is there."""

    value: T

    def ready(self) -> bool:
        return True

    def get(self) -> T:
        return self.value


def in_order[P, T](
    parts: Iterable[P], here: Callable[[P], T], elsewhere: Callable[[P], Result[T] | None]
) -> Generator[T]:
    """What becomes of each part, in their order: made elsewhere where that takes it and makes something of it."""
    held: deque[tuple[P, Result[T]]] = deque()

    def first() -> T:
        part, result = held.popleft()
        made = result.get()
        return here(part) if made is None else made

    for part in parts:
        held.append((part, elsewhere(part) or Made(here(part))))
        while held and (held[0][1].ready() or len(held) > HELD):
            yield first()
    while held:
        yield first()
