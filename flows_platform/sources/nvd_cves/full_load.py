"""Compares the database with all of NVD, range by range, and loads what differs. No Dagster, no clock.

It goes from the newest range to the oldest. A CVE that changes moves to a newer range and never back. So once all newer
ranges agree, everything that the database holds in a range belongs there, and equal counts mean the same CVEs.
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
DAYS_ONE_BY_ONE = 30  # the newest days, where most changes are: a range then has few CVEs
# Five pages, half a minute without a key. A larger range is halved, since one change loads all of a range again.
RANGE_RECORDS = 10_000
LEAST = timedelta(minutes=2)  # the shortest range that is not halved: bounds are whole minutes, as in keys
CATCH_UPS = 3  # times that changes during the load are loaded


@dataclass(frozen=True, slots=True)
class Totals:
    """The number of all CVEs, at the source and in the database."""

    source: int
    database: int

    @property
    def agree(self) -> bool:
        return self.source == self.database


@dataclass(slots=True)
class FullLoad:
    """One pass. `everything` also loads the ranges whose counts agree; `say` gets a line for every range loaded."""

    source: WindowFetch
    store: CveStore
    folder: Path  # of the files with the newer CVEs
    everything: bool = False
    say: Callable[[str], None] = lambda _: None
    counts: Counts = field(default_factory=Counts)
    compared: int = 0
    loaded: int = 0
    received: int = 0
    rejected: int = 0

    def run(self, start: datetime, now: Callable[[], datetime]) -> Totals:
        """Bring the database to what the API has from `start` until now; returns the totals of both at the end.

        After a stop another pass continues from there: ranges that are done agree.

        Raises:
            Transient: the API or the database failed; the ranges before are done.
            Terminal: the API refused, or a file or the database cannot be written.
        """
        until = _to_milliseconds(now())
        for window in ranges(start, until, self._longest):
            self._level(window)
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
        """Make the database agree with the API in a range."""
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
        file = self.source.fetch(window).file
        target = self.folder / file.location.name
        self.counts += fill(self.store, file.location, self.source.api.schema, target).counts
        self.loaded += 1
        self.received += file.received
        self.rejected += file.rejected

    def _count(self, window: Window | None) -> int:
        count = count_records(self.source.client, self.source.api, window, tries=self.source.tries)
        if count is None:
            raise SourceRefused("the API gives no number of records: nothing can be compared.")
        return count


def ranges(start: datetime, until: datetime, longest: timedelta | None) -> Iterator[Window]:
    """Ranges that tile [start, until), the newest first: single days, then the longest that the API takes."""
    midnight = datetime.combine(until.date(), time(), until.tzinfo)
    recent = max(start, midnight - DAYS_ONE_BY_ONE * DAY)
    older = Window(start, recent).pieces(longest) if start < recent else ()
    # guard: newest range first
    yield from reversed([*older, *Window(recent, until).pieces(DAY)])


def halves(window: Window) -> Iterator[Window]:
    """The newer half and the older one; they meet at a whole minute."""
    middle = (window.start + (window.end - window.start) / 2).replace(second=0, microsecond=0)
    yield Window(middle, window.end)
    yield Window(window.start, middle)


def _to_milliseconds(instant: datetime) -> datetime:
    """The instant as precise as the API's bounds."""
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)
