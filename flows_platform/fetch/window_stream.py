"""A window's records as verified Arrow batches: asked for, decoded, cast once, counted against what the source says."""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime

from flows_platform.columns.casting import Casted, Slice, as_mappings, cast_slice
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
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.backoff import attempts
from flows_platform.fetch.children import Children
from flows_platform.fetch.continuing import ORDERED, Order, last_value
from flows_platform.fetch.http.client import Answer, HttpClient
from flows_platform.fetch.out_of_window import inside
from flows_platform.fetch.paging import End, Page, SinglePage, following
from flows_platform.fetch.proof import PageProof, RangeProof, require
from flows_platform.fetch.totals import total_in
from flows_platform.fetch.trace import Trace
from flows_platform.fetch.unread import SHOWN, require_read, unread_places
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
EMPTY_PAGES = 1000  # in a row, each with a way on: some APIs look through their records so
# In a row that may hold the same records, where links or cursors lead on, and where pages are counted.
SAME_PAGES = {False: 10, True: 1}


@dataclass(frozen=True, slots=True)
class Cast:
    """A slice, cast, with positions from 0 on.

    Where rows were mapped: `sent` has what each was made of, `records` the number of records that they came in.
    """

    casted: Casted
    sent: Records = field(default_factory=list)
    records: int | None = None


# Stands between a page's bytes and its decoder, for the length of the page: to keep a copy of what came.
type Tee = Callable[[ByteSource], AbstractContextManager[ByteSource]]


@dataclass(slots=True)
class WindowStream:
    """One try at one window. Iterate `batches()` to the end: only then are the counts proven and the figures final.

    `window` None asks for all that there is.
    """

    client: HttpClient
    api: WindowedApi
    window: Window | None
    progress: Progress = silent  # rows read, and their number where the source told it
    deadline: float | None = None  # on the client's clock
    tee: Tee = nullcontext
    tries: int = 1  # of a page after the first
    trace: Trace = field(default_factory=Trace)
    records: int = 0  # rows, good and bad: one for each record, unless the mapping makes more
    received_bytes: int = 0
    requests: int = 0
    neighbours: int = 0  # records of other windows that came too and are left to them
    counted: int = 0  # records as the source counts them: neighbours too, and parents where a record makes several rows
    surplus: int = 0  # records that came beyond the source's total: right only where as many are repeats
    total: int | None = None  # the source's own, of all ranges
    part: int = 0  # number of the range
    whole: bool = False  # all was read
    format: WireFormat | None = None
    verification: Verification = Verification.DIGEST  # the least of the pages
    replaced: int = 0  # characters that the format does not allow
    note: str = ""  # why that is not more
    unchecked: bool = False  # compressed bytes came without a checksum
    _last: object = None
    _order: Order | None = None
    _part: Window | None = None
    _plan: RowPlan | None = field(init=False)
    _children: Children = field(init=False)

    def __post_init__(self) -> None:
        """Lays the way from records to rows once."""
        self._plan = RowPlan(self.api.mapping) if self.api.mapping else None
        self._children = Children(self.api.mapping)

    @property
    def url(self) -> str:
        """The first request, without what is secret in it."""
        return self.api.shown_url(self.api.request_url(self.api.ranges(self.window)[0]))

    @property
    def remarks(self) -> str:
        """What the level does not say: why it is not more, what the transfer could not show, what was replaced."""
        unchecked = UNCHECKED if self.unchecked and self.verification < Verification.DIGEST else ""
        replaced = f"{self.replaced:,} invalid characters became U+FFFD" if self.replaced else ""
        return "; ".join(filter(None, [self.note, unchecked, replaced]))

    def batches(self) -> Iterator[Casted]:
        """The records in the order they came, good ones as batches and bad ones as rejects.

        Raises:
            Transient: the source failed or the stream ended early; the same call may succeed.
            Terminal: the source refused, speaks another protocol, or proves less than the declaration asks.
        """
        self.trace.begin()
        for part in self.api.ranges(self.window):
            self.part += 1
            yield from self._range(part)
        self._children.close()
        self.whole = True

    def declared_total(self, url: str) -> int | None:
        """The number of records that the page at `url` declares for its whole range; the page's own are let go."""
        proof = RangeProof()
        for _ in self._page(url, proof):
            pass
        return proof.total

    def _range(self, part: Window | None) -> Iterator[Casted]:
        proof, self._part, self._last, self._order = RangeProof(), part or self.window, None, self._order_of_pages()
        page: str | End = self.api.request_url(part)
        asked = set()
        while isinstance(page, str):
            # guard: a page is read once
            self._require_progress(page, again=page in asked, empty=proof.empty)
            asked.add(page)
            page = yield from self._page(page, proof)
        self.verification = min(self.verification, proof.close())
        self.surplus += proof.surplus
        self.counted += proof.seen - proof.surplus
        if proof.total is not None:
            self.total = (self.total or 0) + proof.total
        require(self.verification, self.api.verification, self.note)

    def _require_progress(self, url: str, *, again: bool, empty: int) -> None:
        ends = "Where an empty page is the last although it links on, declare `ends: empty` under `paging`."
        if again:
            raise SourceRefused(
                f"the next page is one that was read before: {self.api.shown_url(url)}.", remedy=ends if empty else ""
            )
        if empty > EMPTY_PAGES:
            raise SourceRefused(f"{empty:,} empty pages in a row, each with a way on.", remedy=ends)

    def _page(self, url: str, whole: RangeProof) -> Generator[Casted, None, str | End]:
        """The page's records; returns the URL of the next one, or why there is none."""
        before = self.records + self.neighbours
        try:
            return (yield from self._page_of_records(url, whole))
        except NoRecords as nothing:
            if self.records + self.neighbours > before:
                raise SourceRefused(f"after records of the same answer, {nothing}") from nothing
            whole.add(Verification.COUNT, 0, None)  # the source says by itself that there are none
            self.trace.ended = nothing.message
            return End(nothing.message)

    def _page_of_records(self, url: str, whole: RangeProof) -> Generator[Casted, None, str | End]:
        api = self.api
        # guard: secrets leave no error of a stream
        with api.redactor.errors(), self._answer(url) as answer:
            self.requests += 1
            proof = PageProof(api.asks_digest, api.extra_column)
            try:
                level, envelope = yield from self._document(answer, proof)
            except SourceUnavailable as error:  # an error document under the status 200 may come with the wait
                error.retry_after = error.retry_after or api.refusals.wait(answer.headers)
                raise
            self.received_bytes += answer.received
            self.unchecked |= answer.unchecked
            self.trace.read(proof.records)
            if self._several:
                whole.require_other(proof, SAME_PAGES[api.paging.stop.counted])
            if self._order and proof.records and isinstance(self._last, int | datetime):
                self._order.close(self._last)
            whole.add(level, proof.records, total_in(api.total, envelope) if api.total else None)
            page = Page(
                url,
                answer.headers,
                envelope,
                proof.records,
                whole.seen,
                self._last,
                whole.total,
                api.request_url(None),
                whole.flagged,
            )
            onward = following(api.paging, page)
            whole.flagged |= api.paging.stop.flag(envelope) is not None
            if isinstance(onward, End):
                self._ended(onward, page)
            return onward

    def _ended(self, end: End, page: Page) -> None:
        """The range's last page: where neither a total nor a flag said so, nothing else may say that there is more."""
        own = self.api.paging.header.lower()
        headers = {name: value for name, value in page.headers.items() if name.lower() != own}
        unread = unread_places(page.envelope, headers, self.api.reads)
        self.trace.ended = end.why
        self.trace.unread += [each.text for each in unread[:SHOWN] if each.text not in self.trace.unread]
        if not end.told and page.total is None:
            # guard: no page is the last by guess
            require_read(unread, self.api.ignored)

    @contextmanager
    def _answer(self, url: str) -> Iterator[Answer]:
        """The answer to a page's request.

        Where a later page is refused for a reason that passes, it is asked for again by itself: to begin anew would
        spend the budget of the pages before once more.
        """
        # guard: a later page that is refused is asked for again by itself
        api, tries = self.api, self.tries if self.requests else 1
        within = None if self.deadline is None else self.client.left(self.deadline)
        with ExitStack() as opened:
            for attempt in attempts(tries, within=within):
                with attempt, api.redactor.errors():
                    request = self.client.stream(
                        url, api.request_headers(), deadline=self.deadline, refusals=api.refusals, seen=self._answered
                    )
                    answer = opened.enter_context(request)
            yield answer

    def _answered(self, url: str, status: int) -> None:
        self.trace.answered(self.api.redactor(self.api.shown_url(url)), status)

    def _document(
        self, answer: Answer, proof: PageProof
    ) -> Generator[Casted, None, tuple[Verification, Mapping[str, object]]]:
        """The document's records; returns the level that it reaches, and what stood around them."""
        before, header = self.records, header_count(answer)
        self._end_where_nothing_is(answer)
        self.format = self._format_of(answer)
        if header != 0 and answer.is_empty():
            raise self._empty(answer)
        with self.tee(answer) as sent:
            clean = replacing(self.format, sent) if self.api.replaces_characters else None
            source: ByteSource = clean or sent
            document = open_document(self.format, source, self._layout(answer))
            for part in document.slices():
                yield self._counted(self._cast(part), proof)
                self.progress(self.records, None if header is None else before + header)
            exhaust(source)
        if self.format is WireFormat.NDJSON and header != 0 and not (proof.records or document.declared):
            raise self._empty(answer)  # blank lines, or a byte order mark
        self.replaced += clean.replaced if clean else 0
        level = proof.level(header, document)
        self.note = self.note or proof.note
        return level, envelope_of(document)

    def _end_where_nothing_is(self, answer: Answer) -> None:
        nothing = self.api.refusals.nothing
        if answer.status in nothing.statuses:
            raise NoRecords(f"the answer's status is {answer.status}, declared to mean that there are no records.")
        if nothing.empty and answer.is_empty():
            raise self._empty(answer)

    def _empty(self, answer: Answer) -> PlatformError:
        """What an answer without anything in it is."""
        if not self.api.refusals.nothing.empty:
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

    def _cast(self, part: Slice) -> Cast:
        api = self.api
        if self._plan is None or api.mapping is None:
            return Cast(cast_slice(api.schema, part, 0, api.extra_column))
        records = as_mappings(part)
        sent = api.mapping.parts(records)
        self._children.note(records, sent)
        casted = cast_slice(api.schema, self._plan.rows(sent), 0, api.extra_column)
        return Cast(casted, sent, len(records))

    def _counted(self, cast: Cast, proof: PageProof) -> Casted:
        api, first = self.api, self.records + self.neighbours + 1
        casted = cast.casted.shifted(first)
        proof.add(casted, cast.records)
        if self._several:
            proof.note_ends(casted)
        self.records += casted.batch.num_rows + len(casted.rejects)
        if api.paging.column:
            last = last_value(api, api.paging.column, casted, cast.sent, first)
            self._last = self._last if last is None else last
            if self._order:
                self._order.add(casted.batch.column(api.paging.column))
        if self._part:
            casted = self._ours(casted, self._part)
        # guard: the quarantine holds what was sent
        if cast.sent:
            casted.rejects = [_as_sent(each, cast.sent[each.position - first]) for each in casted.rejects]
        return casted

    def _ours(self, casted: Casted, part: Window) -> Casted:
        """The range's own; its neighbours' records, which were asked for with it, are counted and left to them."""
        ours = inside(casted, self.api.schema, part, self.api.beyond)
        neighbours = ours.neighbours.num_rows if ours.neighbours else 0
        self.neighbours += neighbours
        self.records -= neighbours
        return ours

    def _order_of_pages(self) -> Order | None:
        """What watches the order, where pages continue from a column whose values have one."""
        column = self.api.paging.column
        ordered = column and self.api.schema.column(column).type in ORDERED
        return Order(column) if column and ordered else None

    @property
    def _several(self) -> bool:
        """Whether there may be more than one page."""
        return not isinstance(self.api.paging, SinglePage)

    def _layout(self, answer: Answer) -> Layout:
        api = self.api
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
        if wire is None or (self.api.format and wire is not self.api.format):
            expected = (
                self.api.format.content_type if self.api.format else "one of " + ", ".join(CONTENT_TYPES.values())
            )
            raise SourceRefused(
                f"the answer's content type is {answer.media_type or 'missing'!r}, not {expected}.",
                remedy="Check the URL, and that the format asked for is one the endpoint has; where records come under "
                "this type, declare it under `content_types`.",
            )
        # guard: links are looked for where they can be
        if self.api.enveloped and not wire.has_envelope:
            raise ConfigurationError(f"{nothing_around(wire)}.")
        return wire

    def _format_named(self, media_type: str) -> WireFormat | None:
        """The format that a content type stands for: its own, a structured suffix (RFC 6839), or one declared."""
        if media_type in self.api.content_types:
            return self.api.format
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


def _as_sent(reject: RejectedRecord, part: Mapping[str, object] | Unreadable) -> RejectedRecord:
    """The reject with what the source sent, not what was made of it: so that it can be mapped again."""
    return reject if isinstance(part, Unreadable) else replace(reject, raw=raw_record(part))


def first_records(stream: WindowStream, limit: int) -> Iterator[Casted]:
    """The window's first `limit` records: nothing is proven then, and the stream says why it ended."""
    left = limit
    for casted in stream.batches():
        cut = casted.first(left)
        left -= cut.batch.num_rows + len(cut.rejects)
        yield cut
        if left <= 0:
            stream.verification, stream.note = Verification.UNVERIFIED, f"stopped after {limit:,} records"
            stream.trace.ended = stream.note
            return
