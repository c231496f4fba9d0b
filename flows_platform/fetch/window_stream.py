"""A window's records as verified Arrow batches: requested, decoded, cast once, compared with what the source says."""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from flows_platform.columns.casting import Casted, Slice, as_mappings, cast_slice
from flows_platform.columns.origins import Origin
from flows_platform.columns.raw_records import Records, Unreadable, raw_record
from flows_platform.columns.row_plan import RowPlan
from flows_platform.domain.errors import (
    ConfigurationError,
    NoRecords,
    PlatformError,
    SourceRefused,
    SourceUnavailable,
    StreamIncomplete,
)
from flows_platform.domain.progress import Progress, silent
from flows_platform.domain.rejects import RejectedRecord
from flows_platform.domain.verification import Verification
from flows_platform.domain.windows import Window
from flows_platform.fetch.answering import answering
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.backoff import attempts
from flows_platform.fetch.children import Children
from flows_platform.fetch.continuing import ORDERED, Order, last_value
from flows_platform.fetch.http.client import Answer, HttpClient
from flows_platform.fetch.http.request import Request
from flows_platform.fetch.out_of_window import inside
from flows_platform.fetch.paging import End, Page, SinglePage
from flows_platform.fetch.proof import PageProof, RangeProof, require
from flows_platform.fetch.totals import total_in
from flows_platform.fetch.trace import Trace
from flows_platform.fetch.unread import SHOWN, require_read, unread_values
from flows_platform.formats.decoders import Layout, envelope_of, open_document
from flows_platform.formats.protocol.characters import WHITE_SPACE, replacing
from flows_platform.formats.protocol.metered_reader import ByteSource
from flows_platform.formats.protocol.names import CONTENT_TYPES, RECORD_COUNT_HEADER, WireFormat, nothing_around

FORMATS = {content_type: wire for wire, content_type in CONTENT_TYPES.items()} | {
    "text/xml": WireFormat.XML,
    "application/jsonl": WireFormat.NDJSON,
    "application/x-jsonlines": WireFormat.NDJSON,
}
SUFFIXES = {"json": WireFormat.JSON, "xml": WireFormat.XML}
MAX_DIGITS = 19  # of a count
UNCHECKED = "the zstd body carries no checksum: a byte that changed on its way may pass"
EMPTY_PAGES = 1000  # in a row, each leading to another: some APIs search their records page by page
# How many pages in a row may hold the same records, by the paging's `counted`.
SAME_PAGES = {False: 10, True: 1}


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
    trace: Trace = field(default_factory=Trace)  # also of a try that fails, which has no result
    limit: int | None = None  # records after which the stream stops: nothing is proven then
    fetched_at: datetime = field(default_factory=lambda: datetime.now(UTC))  # for columns that show it

    @property
    def url(self) -> str:
        """The first request, without its secrets."""
        return self.api.shown(self.api.request(self.api.ranges(self.window)[0]))


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

    @property
    def beside(self) -> int:
        """By how much the source's count exceeds the window's own records; negative if parents make several rows."""
        return self.counted - self.rows - self.rejected if self.complete else 0


@dataclass(slots=True)
class _Tally:
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

    @property
    def records(self) -> int:
        """The number of the window's own, good and bad: one per record, unless the mapping makes several rows of it."""
        return self.rows + self.rejected

    @property
    def position(self) -> int:
        """The number of records of any window."""
        return self.records + self.outside

    def result(self, *, complete: bool) -> FetchResult:
        unchecked = UNCHECKED if self.unchecked and self.level < Verification.DIGEST else ""
        replaced = f"{self.replaced:,} invalid characters became U+FFFD" if self.replaced else ""
        return FetchResult(
            requests=self.requests,
            rows=self.rows,
            rejected=self.rejected,
            outside=self.outside,
            received_bytes=self.received_bytes,
            format=self.format,
            level=self.level,
            level_reason="; ".join(filter(None, [self.note, unchecked, replaced])),
            replaced_characters=self.replaced,
            counted=self.counted,
            surplus=self.surplus,
            total=self.total,
            complete=complete,
        )


@dataclass(slots=True)
class _Range:
    """One range under way: its window, the account of its pages, and the value that the next page continues from."""

    window: Window | None
    order: Order | None = None
    proof: RangeProof = field(default_factory=RangeProof)
    last: object = None


class WindowStream:
    """One try at one window: iterate it to its end, then ask for its `result`. Only there is anything proven."""

    def __init__(self, plan: FetchPlan) -> None:
        self.plan = plan
        self.range = 0  # number of the range that the last slice belongs to
        self._api = plan.api.for_window(plan.window, plan.fetched_at)
        self._row_plan = RowPlan(self._api.mapping) if self._api.mapping else None
        self._children = Children(self._api.mapping)
        self._tally = _Tally()
        self._result: FetchResult | None = None

    @property
    def page(self) -> int:
        """Number of the page that the last slice came on, from 1 over all ranges."""
        return self._tally.requests

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
        yield from self._all() if self.plan.limit is None else self._first(self.plan.limit)

    def declared_total(self, request: Request) -> int | None:
        """The number of records that the page declares for its whole range; its own records are ignored."""
        whole = _Range(None)
        for _ in self._page(request, whole):
            pass
        return whole.proof.total

    def _all(self) -> Generator[Casted]:
        self.plan.trace.begin()
        for window in self._api.ranges(self.plan.window):
            self.range += 1
            yield from self._range(window)
        self._children.close()
        self._result = self._tally.result(complete=True)

    def _first(self, limit: int) -> Iterator[Casted]:
        """The first `limit` records: nothing is proven then, and the trace says why the stream ended."""
        left = limit
        with closing(self._all()) as slices:
            for casted in slices:
                cut = casted.first(left)
                left -= cut.batch.num_rows + len(cut.rejects)
                yield cut
                if left <= 0:
                    break
            else:
                return
        stopped = self.plan.trace.ended = f"stopped after {limit:,} records"
        unproven = self._tally.result(complete=False)
        self._result = replace(unproven, level=Verification.UNVERIFIED, level_reason=stopped)

    def _range(self, window: Window | None) -> Iterator[Casted]:
        whole = _Range(window or self.plan.window, self._order_of_pages())
        page: Request | End = self._api.request(window)
        asked = set()
        while isinstance(page, Request):
            # guard: a page is read once
            self._require_progress(page, again=page.identity in asked, empty=whole.proof.empty)
            asked.add(page.identity)
            page = yield from self._page(page, whole)
        tally, proof = self._tally, whole.proof
        tally.level = min(tally.level, proof.close())
        tally.surplus += proof.surplus
        tally.counted += proof.seen - proof.surplus
        if proof.total is not None:
            tally.total = (tally.total or 0) + proof.total
        require(tally.level, self._api.verification, tally.note)

    def _require_progress(self, request: Request, *, again: bool, empty: int) -> None:
        ends = "Where an empty page is the last although it links on, declare `ends: empty` under `paging`."
        if again:
            raise SourceRefused(
                f"the next page is one that was read before: {self._api.shown(request)}.", remedy=ends if empty else ""
            )
        if empty > EMPTY_PAGES:
            raise SourceRefused(f"{empty:,} empty pages in a row, each leading to another.", remedy=ends)

    def _page(self, request: Request, whole: _Range) -> Generator[Casted, None, Request | End]:
        """The page's records; returns the request of the next one, or why there is none."""
        before = self._tally.position
        try:
            return (yield from self._page_of_records(request, whole))
        except NoRecords as nothing:
            if self._tally.position > before:
                raise SourceRefused(f"after records of the same answer, {nothing}") from nothing
            whole.proof.add(Verification.COUNT, 0, None)  # the source says by itself that there are none
            self.plan.trace.ended = nothing.message
            return End(nothing.message)

    def _page_of_records(self, request: Request, whole: _Range) -> Generator[Casted, None, Request | End]:
        api = self._api
        # guard: secrets leave no error of a stream
        with api.redactor.errors(), self._answer(request) as answer:
            self._tally.requests += 1
            proof = PageProof(api.asks_digest, api.extra_column)
            try:
                level, envelope = yield from self._document(answer, proof, whole)
            except SourceUnavailable as error:  # an error document under the status 200 may come with the wait
                error.retry_after = error.retry_after or api.refusals.wait(answer.headers)
                raise
            self._tally.received_bytes += answer.received
            self._tally.unchecked |= answer.unchecked
            self.plan.trace.read(proof.records)
            if self._several:
                whole.proof.require_other(proof, SAME_PAGES[api.paging.counted])
            if whole.order and proof.records and isinstance(whole.last, int | datetime):
                whole.order.close(whole.last)
            whole.proof.add(level, proof.records, total_in(api.total, envelope) if api.total else None)
            page = Page(
                request,
                answer.headers,
                envelope,
                proof.records,
                whole.proof.seen,
                api.bare_request(whole.window),
                whole.last,
                whole.proof.total,
                whole.proof.flagged,
            )
            onward = api.paging.next(page)
            whole.proof.flagged |= api.paging.says_more(envelope) is not None
            if isinstance(onward, End):
                self._ended(onward, page)
            return onward

    def _ended(self, end: End, page: Page) -> None:
        """Check the range's last page: unless a total or a flag said so, nothing may say that there is more."""
        own, trace = self._api.paging.header.lower(), self.plan.trace
        headers = {name: value for name, value in page.headers.items() if name.lower() != own}
        unread = unread_values(page.envelope, headers, self._api.reads)
        trace.ended = end.why
        trace.unread += [value.text for value in unread[:SHOWN] if value.text not in trace.unread]
        if not end.stated and page.total is None:
            # guard: no page is the last by guess
            require_read(unread, self._api.ignored)

    @contextmanager
    def _answer(self, request: Request) -> Iterator[Answer]:
        """The answer to a page's request.

        A later page that fails for a transient reason is requested again by itself: starting over would spend the
        budget of the earlier pages again.
        """
        # guard: a later page that is refused is asked for again by itself
        api, plan, tries = self._api, self.plan, self.plan.page_tries if self._tally.requests else 1
        within = None if plan.deadline is None else plan.client.left(plan.deadline)
        with ExitStack() as opened:
            for attempt in attempts(tries, within=within):
                with attempt, api.redactor.errors():
                    sent = answering(plan.client, api, request, deadline=plan.deadline, seen=self._answered)
                    answer = opened.enter_context(sent)
            yield answer

    def _answered(self, url: str, status: int) -> None:
        self.plan.trace.answered(self._api.redactor(self._api.shown_url(url)), status)

    def _document(
        self, answer: Answer, proof: PageProof, whole: _Range
    ) -> Generator[Casted, None, tuple[Verification, Mapping[str, object]]]:
        """The document's records; returns the level that it reaches, and the envelope around them."""
        tally, before, header = self._tally, self._tally.records, header_count(answer)
        self._end_where_nothing_is(answer)
        tally.format = wire = self._format_of(answer)
        if header != 0 and answer.is_empty():
            raise self._empty(answer)
        with self.plan.tee(answer) as sent:
            clean = replacing(wire, sent) if self._api.replaces_characters else None
            source: ByteSource = clean or sent
            document = open_document(wire, source, self._layout(answer))
            for records in document.slices():
                yield self._casted(records, proof, whole)
                self.plan.progress(tally.records, None if header is None else before + header)
            exhaust(source)
        if wire is WireFormat.NDJSON and header != 0 and not (proof.records or document.declared):
            raise self._empty(answer)  # blank lines, or a byte order mark
        tally.replaced += clean.replaced if clean else 0
        level = proof.level(header, document)
        tally.note = tally.note or proof.note
        return level, envelope_of(document)

    def _end_where_nothing_is(self, answer: Answer) -> None:
        nothing = self._api.refusals.nothing
        if answer.status in nothing.statuses:
            raise NoRecords(f"the answer's status is {answer.status}, declared to mean that there are no records.")
        if nothing.empty and answer.is_empty():
            raise self._empty(answer)

    def _empty(self, answer: Answer) -> PlatformError:
        """The error for an answer without any content."""
        if not self._api.refusals.nothing.empty:
            return StreamIncomplete(
                f"the answer, of status {answer.status}, is empty.",
                remedy="Where an empty answer means that there are no records, declare `nothing: [empty]`.",
            )
        # guard: an empty body must be proven
        if not answer.proves_its_end:
            return StreamIncomplete(
                "the answer is empty, and nothing proves that it was not cut: it has no Content-Length and no chunks.",
                remedy="Have the API declare the length of its answers, or say with status 204 that there is nothing.",
            )
        return NoRecords("the answer is empty, declared to mean that there are no records.")

    def _casted(self, records: Slice, proof: PageProof, whole: _Range) -> Casted:
        """The slice, cast and counted: the window's own records, with their positions in the stream."""
        api, first = self._api, self._tally.position + 1
        casted, sent, parents = self._cast(records, first)
        proof.add(casted, parents)
        if self._several:
            proof.note_ends(casted)
        if api.paging.continues_from:
            last = last_value(api, api.paging.continues_from, casted, sent, first)
            whole.last = whole.last if last is None else last
            if whole.order:
                whole.order.add(casted.batch.column(api.paging.continues_from))
        if whole.window and not api.time_is_given:
            casted = inside(casted, api.schema, whole.window, api.beyond)
        self._tally.rows += casted.batch.num_rows
        self._tally.rejected += len(casted.rejects)
        self._tally.outside += casted.neighbours.num_rows if casted.neighbours else 0
        # guard: the quarantine holds what was sent
        if sent:
            casted.rejects = [_as_sent(reject, sent[reject.position - first]) for reject in casted.rejects]
        return casted

    def _cast(self, records: Slice, first: int) -> tuple[Casted, Records, int | None]:
        """The cast slice, from position `first` on; for mapped rows also the objects sent and the number of parents."""
        api = self._api
        if self._row_plan is None or api.mapping is None:
            return cast_slice(api.schema, records, first, api.extra_column), [], None
        parents = as_mappings(records)
        sent = api.mapping.split(parents)
        self._children.note(parents, sent)
        return cast_slice(api.schema, self._row_plan.rows(sent), first, api.extra_column), sent, len(parents)

    def _order_of_pages(self) -> Order | None:
        """A check of the order, if pages continue from a column whose values have one."""
        column = self._api.paging.continues_from
        ordered = column and self._api.schema.column(column).type in ORDERED
        return Order(column) if column and ordered else None

    @property
    def _several(self) -> bool:
        """Whether there may be more than one page."""
        return not isinstance(self._api.paging, SinglePage)

    def _layout(self, answer: Answer) -> Layout:
        api = self._api
        # guard: flat records keep their envelope
        return Layout(
            api.schema,
            api.records,
            api.record,
            api.asks_footer,
            api.record_bytes,
            whole=api.mapping is not None,
            total=api.total,
            errors=api.refusals.document,
            nothing=api.refusals.nothing.members,
            enveloped=api.enveloped,
            doctype=api.doctype,
            plain_names=api.plain_names,
            parser=api.parser,
            extra=api.extra_column,
            dialect=api.dialect,
            fields=api.fields,
            proven=answer.proves_its_end or header_count(answer) is not None,
        )

    def _format_of(self, answer: Answer) -> WireFormat:
        wire = self._format_named(answer.media_type)
        # guard: content type
        if wire is None or (self._api.format and wire is not self._api.format):
            expected = (
                self._api.format.content_type if self._api.format else "one of " + ", ".join(CONTENT_TYPES.values())
            )
            raise SourceRefused(
                f"the answer's content type is {answer.media_type or 'missing'!r}, not {expected}.",
                remedy="Check the URL, and that the format asked for is one the endpoint has; where records come under "
                "this type, declare it under `content_types`.",
            )
        # guard: links are looked for where they can be
        if self._api.enveloped and not wire.has_envelope:
            raise ConfigurationError(f"{nothing_around(wire)}.")
        return wire

    def _format_named(self, media_type: str) -> WireFormat | None:
        """The format of a content type: by its own name, a structured suffix (RFC 6839), or as declared."""
        if media_type in self._api.content_types:
            return self._api.format
        return FORMATS.get(media_type) or SUFFIXES.get(media_type.rpartition("+")[2] if "+" in media_type else "")


def exhaust(source: ByteSource) -> None:
    """Read to the end of the transfer: only there do framing and compression prove themselves.

    Raises:
        SourceRefused: more than white space follows the document.
    """
    while rest := source.read():
        # guard: nothing follows the document
        if rest.strip(WHITE_SPACE):
            raise SourceRefused(f"{len(rest)} bytes follow the end of the document.")


def header_count(answer: Answer) -> int | None:
    """The number of records that the answer's header declares, if it does."""
    value = answer.headers.get(RECORD_COUNT_HEADER)
    if value is None:
        return None
    # guard: a declared count is a number
    if not (value.isascii() and value.isdigit() and len(value) <= MAX_DIGITS):
        raise SourceRefused(f"the {RECORD_COUNT_HEADER} header is {value[:40]!r}, not a number.")
    return int(value)


def _as_sent(reject: RejectedRecord, sent: Mapping[str, object] | Unreadable) -> RejectedRecord:
    """The reject as the source sent it, not as it was mapped, so that reprocessing can map it again."""
    return reject if isinstance(sent, Unreadable) else replace(reject, raw=raw_record(sent))
