"""What one try at a window asks for, what it counts, and what it brings."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime

from flows_platform.domain.progress import Progress, silent
from flows_platform.domain.verification import Verification
from flows_platform.domain.windows import Window
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.http.client import HttpClient
from flows_platform.fetch.proof import RangeProof
from flows_platform.fetch.trace import Trace
from flows_platform.formats.protocol.metered_reader import ByteSource
from flows_platform.formats.protocol.names import WireFormat

UNCHECKED = "the zstd body carries no checksum: a byte that changed on its way may pass"

# Wraps a page's bytes while its decoder reads them, to keep a copy of what came.
type Tee = Callable[[ByteSource], AbstractContextManager[ByteSource]]


@dataclass(frozen=True, slots=True)
class FetchPlan:
    """What one try at a window asks for, and how. `window` None asks for all that the source has."""

    client: HttpClient
    api: WindowedApi
    window: Window | None
    progress: Progress = silent  # rows read, and their number where the source declares it
    deadline: float | None = None  # on the client's clock
    page_tries: int = 1  # of a page after the first
    tee: Tee = nullcontext
    trace: Trace = field(default_factory=lambda: Trace(kept=1))  # also of a try that fails, which has no result
    limit: int | None = None  # records after which the stream stops: nothing is proven then
    fetched_at: datetime = field(default_factory=lambda: datetime.now(UTC))  # for columns that show it

    @property
    def url(self) -> str:
        """The first request, without its secrets."""
        first = self.api.for_pull(next(self.api.pulls))
        return first.shown(first.request(first.ranges(self.window)[0]))


@dataclass(frozen=True, slots=True)
class FetchResult:
    """What one try at a window brought.

    `counted` are the records as the source counts them: those outside the window too, and parents where a record makes
    several rows. `surplus` came beyond the source's `total`, which is right only where as many are repeats. `complete`
    is False where a limit ended the stream. `level_reason` says why the level is not higher, what the transfer could
    not show, and what was replaced.
    """

    requests: int
    rows: int
    rejected: int
    outside: int  # good records of other windows, which are skipped
    received_bytes: int  # on the wire, before decompression
    format: WireFormat | None
    level: Verification  # the lowest of the pages
    level_reason: str
    replaced_characters: int  # that the format does not allow
    counted: int
    surplus: int
    total: int | None
    complete: bool
    pulls: int = 0  # one per value of `for_each`

    @property
    def beside(self) -> int:
        """By how much the source's count exceeds the window's own records; negative if parents make several rows."""
        return self.counted - self.rows - self.rejected if self.complete else 0


@dataclass(slots=True)
class Tally:
    """What came so far."""

    rows: int = 0
    rejected: int = 0
    outside: int = 0
    requests: int = 0
    received_bytes: int = 0
    counted: int = 0
    surplus: int = 0
    total: int | None = None
    format: WireFormat | None = None
    level: Verification = Verification.DIGEST
    note: str = ""  # why the level is not higher
    replaced: int = 0
    unchecked: bool = False  # compressed bytes came without a checksum
    missing: int = 0  # ids of a list that no record came for, as declared
    pulls: int = 0
    cut: bool = False  # a limit ended a list
    uncounted: bool = False  # paging of a range stopped before its total

    @property
    def records(self) -> int:
        """The number of the window's own, good and bad: one per record, unless the mapping makes several rows of it."""
        return self.rows + self.rejected

    @property
    def position(self) -> int:
        """The number of records of any window."""
        return self.records + self.outside

    def add(self, proof: RangeProof) -> None:
        """Count a range that was read to its end.

        Raises:
            StreamIncomplete: the source counted more records than arrived.
        """
        self.level = min(self.level, proof.close())
        self.surplus += proof.surplus
        self.counted += proof.seen - proof.surplus
        self.uncounted |= proof.stopped
        if proof.total is not None:
            self.total = (self.total or 0) + proof.total

    def result(self, *, complete: bool) -> FetchResult:
        """The result as it is now."""
        unchecked = UNCHECKED if self.unchecked and self.level < Verification.DIGEST else ""
        missing = f"{self.missing:,} ids had no record, as declared" if self.missing else ""
        replaced = f"{self.replaced:,} invalid characters became U+FFFD" if self.replaced else ""
        return FetchResult(
            requests=self.requests,
            rows=self.rows,
            rejected=self.rejected,
            outside=self.outside,
            received_bytes=self.received_bytes,
            format=self.format,
            level=self.level,
            level_reason="; ".join(filter(None, [self.note, missing, unchecked, replaced])),
            replaced_characters=self.replaced,
            counted=self.counted,
            surplus=self.surplus,
            total=None if self.uncounted else self.total,
            complete=complete,
            pulls=self.pulls,
        )
