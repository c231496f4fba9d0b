"""Reads a range that a source exports: starts the job, waits until it is done, and reads what it has written."""

import json
from collections.abc import Generator, Iterator, Mapping
from functools import partial
from time import sleep

from flows_platform.columns.casting import Casted
from flows_platform.domain.errors import (
    MalformedDocument,
    NoRecords,
    SourceRefused,
    SourceUnavailable,
    StreamIncomplete,
)
from flows_platform.domain.verification import Verification
from flows_platform.domain.windows import Window
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.declared_request import Id
from flows_platform.fetch.fetch_plan import FetchPlan, Tally
from flows_platform.fetch.http.request import Request
from flows_platform.fetch.jobs import Job
from flows_platform.fetch.pages import Pages
from flows_platform.fetch.proof import PageProof
from flows_platform.fetch.record_account import RecordAccount
from flows_platform.fetch.totals import total_in
from flows_platform.fetch.unread import require_read, unread_values
from flows_platform.fetch.window_range import WindowRange

DOCUMENT_BYTES = 1 << 23  # of the answer to a start or a status: a list of 100,000 chunks has 1 MB
STATUS = "the status of the done job"
SAME = "Check `url` of `job.parts`: the API seems to ignore which chunk is asked for."


class JobPages:
    """Reads ranges of one try at a window; every range is a job."""

    def __init__(self, plan: FetchPlan, job: Job, pages: Pages, account: RecordAccount, tally: Tally) -> None:
        self._plan = plan
        self._api = plan.api
        self._job = job
        self._pages = pages
        self._account = account
        self._tally = tally
        self._faces: set[int] = set()  # of the chunks of a job
        self._deadline = plan.client.deadline() if plan.deadline is None else plan.deadline

    def read(self, window: Window | None, whole: WindowRange) -> Iterator[Casted]:
        """The records of the job for the range `window`.

        Raises:
            SourceUnavailable: the job failed, or is not done before the window's deadline.
            PlatformError: a request fails, or an answer is not as declared.
        """
        trace = self._plan.trace
        try:
            started, _ = self._asked(self._api.of_start, self._api.request(window))
        except NoRecords as nothing:
            whole.proof.add(Verification.COUNT, 0, None)
            trace.ended = nothing.message
            return
        job = self._job.start.job_in(started)
        status = self._awaited(job, window)
        requests = self._requests(job, status, window)
        # A job that is done and lists nothing has counted its records.
        level = Verification.DIGEST if requests else Verification.COUNT
        whole.proof.add(level, 0, total_in(self._api.total, status) if self._api.total else None)
        trace.ended = f"the job {job} is done, and its result was read in {len(requests):,} requests"
        self._faces.clear()
        for request in requests:
            yield from self._written(request, whole, several=len(requests) > 1)

    def _written(self, request: Request, whole: WindowRange, *, several: bool) -> Generator[Casted]:
        """The records of one chunk, or of the whole result."""
        api, take = self._api.of_result, partial(self._account.take, whole=whole)
        try:
            read = yield from self._pages.read(api, request, take, several=several)
        except NoRecords:
            whole.proof.add(Verification.COUNT, 0, None)
            return
        if several:
            self._require_other(read.proof)
        whole.proof.add(read.level, read.proof.records, None)
        self._pages.require_read(api, read.headers, read.envelope, proven=whole.proof.total is not None)

    def _require_other(self, chunk: PageProof) -> None:
        face = hash(repr(chunk.face))
        # guard: no two chunks are the same
        if chunk.records and face in self._faces:
            raise StreamIncomplete(f"two chunks of the job hold the same {chunk.records:,} records.", remedy=SAME)
        self._faces.add(face)

    def _requests(self, job: Id, status: Mapping[str, object], window: Window | None) -> list[Request]:
        if self._job.result:
            return [self._api.further_request(self._job.result, window, {"job": job})]
        if chunks := self._job.parts:
            named = ({"job": job, "part": chunk} for chunk in chunks.chunks_in(status))
            return [self._api.further_request(chunks, window, names) for names in named]
        return []

    def _awaited(self, job: Id, window: Window | None) -> Mapping[str, object]:
        """The status of the job once it is done."""
        status, api = self._job.status, self._api.of_status
        request = self._api.further_request(status, window, {"job": job}, accept="application/json")
        while True:
            document, headers = self._asked(api, request)
            state = status.state_in(document)
            if status.is_done(state, job):
                self._require_whole(document, headers)
                return document
            self._plan.progress(self._tally.records, None)
            self._wait(max(status.every, api.refusals.asked_wait(headers) or 0.0), job, state)

    def _require_whole(self, status: Mapping[str, object], headers: Mapping[str, str]) -> None:
        """Refuse the status of a done job that says that there is more than it lists, or that some of it failed."""
        api, chunks = self._api, self._job.parts
        reads = [*api.reads, self._job.status.state, *([chunks.chunks] if chunks else [])]
        self._job.status.require_whole(status, [*api.ignored, *reads])
        # guard: no list of chunks is whole by guess
        require_read(unread_values(status, headers, reads), api.ignored, STATUS)

    def _wait(self, seconds: float, job: Id, state: str) -> None:
        client = self._plan.client
        sleep(min(seconds, client.left(self._deadline)))
        # guard: a job is not awaited for ever
        if not client.left(self._deadline):
            raise SourceUnavailable(
                f"the job {job} of the source is still {state} {client.limits.total:g} s after the window was started.",
                remedy="Allow a window more time (FLOWS_FETCH_DEADLINE), or declare shorter windows; if that state is "
                "the end, declare it as `done` or `failed`.",
            )

    def _asked(self, api: WindowedApi, request: Request) -> tuple[Mapping[str, object], Mapping[str, str]]:
        """The JSON document of an answer, and its headers."""
        for attempt in self._pages.tries():
            with attempt, api.redactor.errors(), self._pages.sent(api, request) as answer:
                api.refusals.nothing.require_some(answer.status)
                document = _document(answer.beginning(DOCUMENT_BYTES + 1))
                self._tally.received_bytes += answer.received
                if error := api.refusals.document and api.refusals.document.error(None, document):
                    if isinstance(error, SourceUnavailable):
                        error.retry_after = api.refusals.wait(answer.headers)
                    raise error
                self._tally.requests += 1
                return document, answer.headers
        raise AssertionError("attempts() gives at least one try")  # pragma: no cover


def _document(body: bytes) -> Mapping[str, object]:
    """A JSON object.

    Raises:
        MalformedDocument: it is not JSON; the next answer may be.
        SourceRefused: it is another value, or too large.
    """
    # guard: the status of a job is small
    if len(body) > DOCUMENT_BYTES:
        raise SourceRefused(f"the answer about a job has more than {DOCUMENT_BYTES:,} bytes.")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedDocument(f"the answer about a job is not JSON: {body[:80]!r}.") from error
    if not isinstance(document, dict):
        raise SourceRefused(f"the answer about a job is not a JSON object: {body[:80]!r}.")
    return document
