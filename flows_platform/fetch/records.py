"""A window's records as verified Arrow batches: asked for, decoded, cast once, counted against what the source says."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow.compute as pc

from flows_platform.domain.errors import SourceRefused
from flows_platform.domain.progress import Progress, silent
from flows_platform.domain.rejects import RejectedRecord
from flows_platform.domain.schema import TableSchema
from flows_platform.domain.verification import Verification
from flows_platform.domain.windows import TimeBounds
from flows_platform.fetch.http import Answer, HttpClient
from flows_platform.fetch.proof import PageProof, require
from flows_platform.fetch.windowed_api import WindowedApi
from flows_platform.wire.casting import Casted, cast_slice
from flows_platform.wire.decode.documents import Layout, open_document
from flows_platform.wire.formats import CONTENT_TYPES, RECORD_COUNT_HEADER, WireFormat
from flows_platform.wire.raw_records import raw_record

FORMATS = {content_type: wire for wire, content_type in CONTENT_TYPES.items()} | {
    "text/xml": WireFormat.XML,
    "application/jsonl": WireFormat.NDJSON,
    "application/x-jsonlines": WireFormat.NDJSON,
}
MAX_DIGITS = 19  # of a count


@dataclass(slots=True)
class WindowStream:
    """One try at one window. Iterate `batches()` to the end: only then are the counts proven and the figures final."""

    client: HttpClient
    api: WindowedApi
    bounds: TimeBounds
    progress: Progress = silent  # records read, and their number where the source told it
    deadline: float | None = None  # on the client's clock
    records: int = 0
    received_bytes: int = 0
    format: WireFormat | None = None
    verification: Verification = Verification.DIGEST  # the least of the pages
    note: str = ""  # why that is not more
    _url: str = field(init=False)

    def __post_init__(self) -> None:
        self._url = self.api.request_url(self.bounds)

    @property
    def url(self) -> str:
        """The first request, without what is secret in it."""
        return self.api.shown_url(self._url)

    def batches(self) -> Iterator[Casted]:
        """The records in the order they came, good ones as batches and bad ones as rejects.

        Raises:
            Transient: the source failed or the stream ended early; the same call may succeed.
            Terminal: the source refused, speaks another protocol, or proves less than the declaration asks.
        """
        page: str | None = self._url
        while page:
            with self.client.stream(page, self.api.request_headers(), deadline=self.deadline) as answer:
                yield from self._page(answer)
                self.received_bytes += answer.received
                page = self.api.paging.next_page(page, answer.headers)

    def _page(self, answer: Answer) -> Iterator[Casted]:
        before = self.records
        self.format = self._format_of(answer)
        document = open_document(self.format, answer, self._layout())
        header = header_count(answer)
        proof = PageProof(self.api.asks_digest, self.api.extra_column)
        for part in document.slices():
            casted = cast_slice(self.api.schema, part, self.records + 1, self.api.extra_column)
            proof.add(casted)
            self.records = before + proof.records
            yield inside(casted, self.api.schema, self.bounds)
            self.progress(self.records, None if header is None else before + header)
        self._exhaust(answer)
        self.verification = min(self.verification, proof.level(header, document))
        self.note = self.note or proof.note
        require(self.verification, self.api.verification, self.note)

    def _layout(self) -> Layout:
        api = self.api
        return Layout(api.schema, api.records, api.record, api.asks_footer, api.record_bytes)

    def _format_of(self, answer: Answer) -> WireFormat:
        wire = FORMATS.get(answer.media_type)
        if wire is None or (self.api.format and wire is not self.api.format):
            expected = (
                self.api.format.content_type if self.api.format else "one of " + ", ".join(CONTENT_TYPES.values())
            )
            raise SourceRefused(
                f"the answer's content type is {answer.media_type or 'missing'!r}, not {expected}.",
                remedy="Check the URL, and that the format asked for is one the endpoint has.",
            )
        return wire

    def _exhaust(self, answer: Answer) -> None:
        """Read to the end of the transfer: only there do framing and compression prove themselves."""
        while rest := answer.read():
            if rest.strip():
                raise SourceRefused(f"{len(rest)} bytes follow the end of the document.")


def header_count(answer: Answer) -> int | None:
    """The number of records that the answer's header declares, if it does."""
    value = answer.headers.get(RECORD_COUNT_HEADER)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= MAX_DIGITS):
        raise SourceRefused(f"the {RECORD_COUNT_HEADER} header is {value[:40]!r}, not a number.")
    return int(value)


def inside(casted: Casted, schema: TableSchema, bounds: TimeBounds) -> Casted:
    """The slice without the records that lie outside the window; those become rejects."""
    times = casted.batch.column(schema.time)
    inside = pc.and_(pc.greater_equal(times, bounds.first), pc.less_equal(times, bounds.before))
    if pc.all(inside).as_py() is not False:
        return casted
    kept, rejects = [], casted.rejects
    for position, good, record in zip(casted.positions, inside.to_pylist(), casted.batch.to_pylist(), strict=True):
        if good:
            kept.append(position)
        else:
            rejects.append(_outside(record, schema.time, bounds, position))
    return Casted(casted.batch.filter(inside), kept, rejects)


def _outside(record: dict[str, object], time: str, bounds: TimeBounds, position: int) -> RejectedRecord:
    reason = f"{time} {record[time]} lies outside the window's {bounds.first} to {bounds.before}"
    return RejectedRecord(position, reason, raw_record(record))
