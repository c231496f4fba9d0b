"""All of NVD against the database, range by range: what differs is loaded. The first load, and every reconcile.

From the newest range to the oldest. A CVE that changes moves to a newer range and never back: once all newer ranges
agree, whatever the database holds in a range belongs there, and equal counts mean the same CVEs. No Dagster, no clock.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from pathlib import Path

from flows_platform.domain.errors import SourceRefused
from flows_platform.domain.windows import Window
from flows_platform.fetch.count import count_records
from flows_platform.pipeline.window_pipeline import WindowFetch
from flows_platform.sources.nvd_cves.store import Counts, CveStore
from flows_platform.sources.nvd_cves.upsert import fill

DAY = timedelta(days=1)
DAYS_ONE_BY_ONE = 30  # at the near end, where most changes are: a count is then of few CVEs
RANGE_RECORDS = (
    10_000  # five pages, half a minute without a key: above that a range is halved, since one change redoes it
)
LEAST = timedelta(minutes=2)  # that is halved: bounds lie on minutes, as keys do
CATCH_UPS = 3  # looks at what came during the load


@dataclass(frozen=True, slots=True)
class Totals:
    """The number of all CVEs, there and here."""

    source: int
    database: int

    @property
    def agree(self) -> bool:
        return self.source == self.database


@dataclass(slots=True)
class FullLoad:
    """One pass. `everything` loads the ranges whose counts agree as well; `say` hears of each that is loaded."""

    source: WindowFetch
    store: CveStore
    folder: Path  # of the files of what was newer
    everything: bool = False
    say: Callable[[str], None] = lambda _: None
    counts: Counts = field(default_factory=Counts)
    compared: int = 0
    loaded: int = 0
    received: int = 0
    rejected: int = 0

    def run(self, start: datetime, now: Callable[[], datetime]) -> Totals:
        """Bring the database to what the API holds from `start` until now; gives the totals of both at the end.

        Stopped anywhere, another pass goes on from there: ranges that are done agree.

        Raises:
            Transient: the API or the database failed; the ranges before are done.
            Terminal: the API refused, or a file or the database cannot be written.
        """
        until = _to_milliseconds(now())
        for each in ranges(start, until, self._longest):
            self._level(each)
        for _ in range(CATCH_UPS):
            at = _to_milliseconds(now())
            # guard: catching up
            if at > until:
                self._load(Window(until, at))
                until = at
            totals = Totals(self._count(None), self.store.total())
            if totals.agree:
                break
        return totals

    @property
    def _longest(self) -> timedelta | None:
        time_parameters = self.source.api.time
        return time_parameters.longest if time_parameters else None

    def _level(self, window: Window) -> None:
        """Make the database hold what the API does in a range."""
        there = self._count(window)
        self.compared += 1
        held = self.store.total(modified_from=window.start, modified_before=window.end)
        # guard: counts of a range
        if not there or (there == held and not self.everything):
            return
        # guard: halves of a big range
        if there > RANGE_RECORDS and window.end - window.start > LEAST:
            for half in halves(window):
                self._level(half)
        else:
            self.say(f"{window.key}: {there:,} CVEs at the API, {held:,} in the database")
            self._load(window)

    def _load(self, window: Window) -> None:
        staged = self.source.fetch(window)
        target = self.folder / staged.path.name
        self.counts += fill(self.store, staged.path, self.source.api.schema, target).counts
        self.loaded += 1
        self.received += staged.received
        self.rejected += staged.rejected

    def _count(self, window: Window | None) -> int:
        count = count_records(self.source.client, self.source.api, window, tries=self.source.tries)
        if count is None:
            raise SourceRefused("the API tells no number of records: nothing can be compared.")
        return count


def ranges(start: datetime, until: datetime, longest: timedelta | None) -> Iterator[Window]:
    """Ranges that tile [start, until), the newest first: days, and before those the longest that the API takes."""
    midnight = datetime.combine(until.date(), time(), until.tzinfo)
    recent = max(start, midnight - DAYS_ONE_BY_ONE * DAY)
    older = Window(start, recent).pieces(longest) if start < recent else ()
    # guard: newest range first
    yield from reversed([*older, *Window(recent, until).pieces(DAY)])


def halves(window: Window) -> Iterator[Window]:
    """The newer half and the older one; they meet on a minute."""
    middle = (window.start + (window.end - window.start) / 2).replace(second=0, microsecond=0)
    yield Window(middle, window.end)
    yield Window(window.start, middle)


def _to_milliseconds(instant: datetime) -> datetime:
    """As fine as the API's bounds are."""
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)
