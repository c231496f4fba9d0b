"""A window's records as verified Arrow batches: requested, decoded, cast once, compared with what the source says."""

from collections.abc import Generator, Iterator
from contextlib import closing, nullcontext
from dataclasses import replace
from functools import partial

from flows_platform.columns.casting import Casted
from flows_platform.columns.origins import Origin
from flows_platform.domain.verification import Verification
from flows_platform.domain.windows import Window
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.detail_pages import DetailPages, listing
from flows_platform.fetch.details import IdList
from flows_platform.fetch.fetch_plan import FetchPlan, FetchResult, Tally
from flows_platform.fetch.for_each import Pull
from flows_platform.fetch.http.request import Request
from flows_platform.fetch.job_pages import JobPages
from flows_platform.fetch.pages import Pages, Take
from flows_platform.fetch.proof import require
from flows_platform.fetch.record_account import RecordAccount
from flows_platform.fetch.window_range import WindowRange


class WindowStream:
    """One try at one window: iterate it to its end, then ask for its `result`. Only there is anything proven."""

    def __init__(self, plan: FetchPlan) -> None:
        self.plan = plan
        self.range = 0  # number of the range that the last slice belongs to
        self._pulled = plan  # with the API as the pull under way sees it
        self._tally = Tally()
        self._account = RecordAccount(self._tally, plan.api.mapping)
        self._pages = Pages(plan, self._tally)
        if plan.api.for_each is None:
            self._turn_to(None)
        self._result: FetchResult | None = None

    @property
    def page(self) -> int:
        """Number of the page that the last slice came on, from 1 over all ranges."""
        return self._tally.requests

    @property
    def pull(self) -> int:
        """Number of the pull that the last slice came from, from 1."""
        return self._tally.pulls

    @property
    def fetched_at(self) -> str:
        """The time of the fetch, in ISO 8601, where a column shows it."""
        shown = self._api.mapping and Origin.FETCHED_AT in self._api.mapping.origins
        return self.plan.fetched_at.isoformat() if shown else ""

    def result(self) -> FetchResult:
        """What the stream brought.

        Raises:
            RuntimeError: the stream has not ended.
        """
        if self._result is None:
            raise RuntimeError("the stream has not ended: iterate it first")
        return self._result

    def __iter__(self) -> Iterator[Casted]:
        """The records in the order they came, good ones as batches and bad ones as rejects.

        Raises:
            Transient: the source failed or the stream ended early; the same call may succeed.
            Terminal: the source refused, speaks another protocol, or proves less than the API requires.
        """
        # guard: secrets leave no error of a stream
        with self._api.redactor.errors(), closing(self._slices()) as slices:
            yield from slices

    def declared_total(self, request: Request) -> int | None:
        """The number of records that the page declares for its whole range; its own records are ignored."""
        whole = WindowRange(None)
        with IdList() as ids:
            take = listing(self._api.details, ids) if self._api.details else self._taking(whole)
            for _ in self._pages.listed(request, whole, take):
                pass
        return whole.proof.total

    def _slices(self) -> Generator[Casted]:
        return self._all() if self.plan.limit is None else self._first(self.plan.limit)

    def _all(self) -> Generator[Casted]:
        self.plan.trace.begin()
        for pull in self.plan.api.pulls:
            # guard: an error names the value that was pulled
            with pull.errors() if pull else nullcontext():
                self._turn_to(pull)
                self._tally.pulls += pull is not None
                for window in self._api.ranges(self.plan.window):
                    self.range += 1
                    yield from self._range(window)
        self._account.close()
        self._result = self._tally.result(complete=True)

    def _turn_to(self, pull: Pull | None) -> None:
        """Ask for the records of a pull from here on."""
        plan, value = self.plan, pull.value if pull else None
        api = plan.api.for_pull(pull).for_window(plan.window, plan.fetched_at, value)
        self._pulled = replace(plan, api=api)
        self._account.turn_to(api, value)
        self._pages = Pages(self._pulled, self._tally)

    @property
    def _api(self) -> WindowedApi:
        return self._pulled.api

    def _first(self, limit: int) -> Generator[Casted]:
        """The first `limit` records: nothing is proven then, and the trace says why the stream ended."""
        left = limit
        with closing(self._all()) as slices:
            for casted in slices:
                cut = casted.first(left)
                left -= cut.batch.num_rows + len(cut.rejects)
                yield cut
                if left <= 0:
                    break
            if left > 0 and not self._tally.cut:
                return
        stopped = self.plan.trace.ended = f"stopped after {limit:,} records"
        unproven = self._tally.result(complete=False)
        self._result = replace(unproven, level=Verification.UNVERIFIED, level_reason=stopped)

    def _range(self, window: Window | None) -> Iterator[Casted]:
        whole = WindowRange.of(self._api, window or self.plan.window)
        yield from self._records(window, whole)
        self._tally.add(whole.proof)
        if not self._tally.cut:
            require(self._tally.level, self._api.verification, self._tally.note)

    def _records(self, window: Window | None, whole: WindowRange) -> Iterator[Casted]:
        plan = self._pulled
        if details := self._api.details:
            return DetailPages(plan, details, self._pages, self._account, self._tally).read(window, whole)
        if job := self._api.job:
            return JobPages(plan, job, self._pages, self._account, self._tally).read(window, whole)
        return self._pages.follow(self._api.request(window), whole, self._taking(whole))

    def _taking(self, whole: WindowRange) -> Take:
        return partial(self._account.take, whole=whole)
