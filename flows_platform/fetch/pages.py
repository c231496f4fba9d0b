"""The pages of one try at a window: each is requested, read to its end, and compared with what it declares."""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from hashlib import blake2b

from flows_platform.columns.casting import Casted, Slice
from flows_platform.domain.errors import NoRecords, SourceRefused, SourceUnavailable, StreamIncomplete
from flows_platform.domain.verification import Verification
from flows_platform.fetch.answer_document import AnswerDocument
from flows_platform.fetch.answering import answering
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.backoff import attempts
from flows_platform.fetch.fetch_plan import FetchPlan, Tally
from flows_platform.fetch.http.client import Answer
from flows_platform.fetch.http.request import Request
from flows_platform.fetch.paging import End, Page, SinglePage
from flows_platform.fetch.proof import PageProof
from flows_platform.fetch.totals import total_in
from flows_platform.fetch.unread import SHOWN, require_counted, require_read, require_whole, unread_values
from flows_platform.fetch.window_range import WindowRange

EMPTY_PAGES = 1000  # in a row, each leading to another: some APIs search their records page by page
# How many pages in a row may hold the same records, by the paging's `counted`.
SAME_PAGES = {False: 10, True: 1}

# Counts a slice of a page's records in the page's account; returns what of them belongs to the stream, if anything.
type Take = Callable[[Slice, PageProof], Casted | None]


@dataclass(frozen=True, slots=True)
class ReadPage:
    """A page that was read to its end."""

    headers: Mapping[str, str]
    envelope: Mapping[str, object]
    proof: PageProof
    level: Verification


class Pages:
    """Requests pages and reads them."""

    def __init__(self, plan: FetchPlan, tally: Tally) -> None:
        self._plan = plan
        self._api = plan.api
        self._tally = tally

    def follow(self, request: Request, whole: WindowRange, take: Take, *, most: int | None = None) -> Iterator[Casted]:
        """The records of the request's answer and of the pages that it leads to, until `most` have come.

        Raises:
            PlatformError: a page fails, was read before, or does not say how to go on.
        """
        page: Request | End = request
        asked = set[bytes]()  # digests: a hundred thousand cursors of 2 KB would take 200 MB
        while isinstance(page, Request):
            identity = blake2b(repr(page.identity).encode(), digest_size=16).digest()
            # guard: a page is read once
            self._require_progress(page, again=identity in asked, empty=whole.proof.empty)
            asked.add(identity)
            page = yield from self.listed(page, whole, take)
            if most is not None and whole.proof.seen >= most:
                whole.proof.stopped = self._tally.cut = True
                return

    def _require_progress(self, request: Request, *, again: bool, empty: int) -> None:
        ends = "Where an empty page is the last although it links on, declare `ends: empty` under `paging`."
        if again:
            raise SourceRefused(
                f"the next page is one that was read before: {self._api.shown(request)}.", remedy=ends if empty else ""
            )
        if empty > EMPTY_PAGES:
            raise SourceRefused(f"{empty:,} empty pages in a row, each leading to another.", remedy=ends)

    def listed(self, request: Request, whole: WindowRange, take: Take) -> Generator[Casted, None, Request | End]:
        """The page's records; returns the request of the next one, or why there is none.

        Raises:
            PlatformError: as `read`; also where the page contradicts those before it.
        """
        api, several = self._api, not isinstance(self._api.paging, SinglePage)
        try:
            read = yield from self.read(api, request, take, several=several)
        except NoRecords as nothing:
            # guard: a page that the one before leads to has an answer
            if whole.proof.promised:
                raise StreamIncomplete(
                    f"the page before leads to one that says: {nothing.message}",
                    remedy="If such a page ends a range, declare `ends: empty` under `paging`, without `more`.",
                ) from nothing
            whole.proof.add(Verification.COUNT, 0, None)  # the source says by itself that there are none
            self._plan.trace.ended = nothing.message
            return End(nothing.message)
        if several:
            whole.proof.require_other(read.proof, SAME_PAGES[api.paging.counted])
        if whole.order and read.proof.records and isinstance(whole.last, int | Decimal | date):
            whole.order.close(whole.last)
        whole.proof.add(read.level, read.proof.records, total_in(api.total, read.envelope) if api.total else None)
        return self._onward(request, read, whole)

    def _onward(self, request: Request, read: ReadPage, whole: WindowRange) -> Request | End:
        api = self._api
        page = Page(
            request,
            read.headers,
            read.envelope,
            read.proof.records,
            whole.proof.seen,
            api.bare_request(whole.window),
            whole.last,
            whole.proof.total,
            whole.proof.flagged,
        )
        onward = whole.stopped() or api.paging.next(page)
        whole.proof.flagged |= api.paging.says_more(read.envelope) is not None
        whole.proof.promised = isinstance(onward, Request) and api.paging.promises(read.envelope)
        if isinstance(onward, End):
            self._ended(onward, page)
        return onward

    def _ended(self, end: End, page: Page) -> None:
        self._plan.trace.ended = end.why
        proven = end.stated or page.total is not None
        self.require_read(self._api, page.headers, page.envelope, proven=proven)
        if isinstance(self._api.paging, SinglePage) and not proven:
            require_counted(page.envelope, page.seen, self._api.reads, self._api.ignored)

    def require_read(
        self, api: WindowedApi, headers: Mapping[str, str], envelope: Mapping[str, object], *, proven: bool
    ) -> None:
        """Note the values around the records that nothing reads; unless the end is `proven`, none may say more.

        Raises:
            SourceRefused: one says that there are more records.
        """
        own, trace = api.paging.header.lower(), self._plan.trace
        others = {name: value for name, value in headers.items() if name.lower() != own}
        unread = unread_values(envelope, others, api.reads)
        if len(trace.unread) < SHOWN:  # a window may have very many ranges
            trace.unread += [value.text for value in unread[:SHOWN] if value.text not in trace.unread]
        if not proven:
            # guard: no page is the last by guess
            require_read(unread, api.ignored)

    def read(
        self, api: WindowedApi, request: Request, take: Take, *, several: bool
    ) -> Generator[Casted, None, ReadPage]:
        """The records of one answer; returns what else is known of it.

        Args:
            api: What the answer is like: the plan's API, or that API as its further requests see it.
            request: The request, not signed yet.
            take: Takes the records.
            several: There are other pages, which must not hold the same records.

        Raises:
            NoRecords: the answer is one that is declared to mean that there are no records.
            PlatformError: it fails, or is not such a document.
        """
        with self._answer(api, request) as answer:
            self._tally.requests += 1
            proof = PageProof(api.asks_digest and not api.digests_lines, api.extra_column, compared=several)
            try:
                document = yield from self._document(api, answer, take, proof)
            except NoRecords as nothing:
                if proof.records:
                    raise SourceRefused(f"after records of the same answer, {nothing}") from nothing
                raise
            except SourceUnavailable as error:  # an error document under the status 200 may come with the wait
                error.retry_after = error.retry_after or api.refusals.wait(answer.headers)
                raise
            require_whole(document.envelope, api.reads, api.ignored)
            self._tally.received_bytes += answer.received
            self._tally.unchecked |= answer.unchecked
            self._plan.trace.read(proof.records)
            level = proof.level(
                document.count, document.declared, enclosed=document.enclosed, lines=document.line_digest
            )
            self._tally.note = self._tally.note or proof.note
            return ReadPage(answer.headers, document.envelope, proof, level)

    def _document(
        self, api: WindowedApi, answer: Answer, take: Take, proof: PageProof
    ) -> Generator[Casted, None, AnswerDocument]:
        tally, before = self._tally, self._tally.records
        document = AnswerDocument(api, answer, self._plan.tee)
        tally.format = document.format
        for records in document:
            if casted := take(records, proof):
                yield casted
            self._plan.progress(tally.records, None if document.count is None else before + document.count)
        document.require_content(proof.records)
        tally.replaced += document.replaced
        return document

    @contextmanager
    def _answer(self, api: WindowedApi, request: Request) -> Iterator[Answer]:
        """The answer to a page's request, whose body is not tried again."""
        with ExitStack() as opened:
            for attempt in self.tries():
                with attempt, api.redactor.errors():
                    answer = opened.enter_context(self.sent(api, request))
            yield answer

    def tries(self) -> Iterator[AbstractContextManager[object]]:
        """The tries at a request, of which each but the last may fail for a transient reason.

        A request after the first is sent again by itself: starting over would spend the budget of the earlier ones
        again.
        """
        plan = self._plan
        within = None if plan.deadline is None else plan.client.left(plan.deadline)
        # guard: a later page that is refused is asked for again by itself
        return attempts(plan.page_tries if self._tally.requests else 1, within=within)

    def sent(self, api: WindowedApi, request: Request) -> AbstractContextManager[Answer]:
        """The answer to a request, once."""
        return answering(self._plan.client, api, request, deadline=self._plan.deadline, seen=self._answered)

    def _answered(self, url: str, status: int) -> None:
        self._plan.trace.answered(self._api.redactor(self._api.shown_url(url)), status)
