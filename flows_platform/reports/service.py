"""Answers of reports: from what is kept while the tables are unchanged, else from one query for all who ask at once."""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from secrets import token_hex
from threading import Event
from typing import Any

from flows_platform.domain.errors import PlatformError, WarehouseUnavailable
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.reports.answers import Runs
from flows_platform.reports.bodies import USUAL, Form, arrow_bytes, encoded, no_rows, table_of
from flows_platform.reports.cache import AnswerCache
from flows_platform.reports.declaration import ReportDeclaration, ReversedRange
from flows_platform.reports.flights import Flights
from flows_platform.reports.parameters import canonical, values_of
from flows_platform.reports.values import Value
from flows_platform.reports.versions import DataState, VersionsFile

THREADS = 4
CANCELLING = 2  # threads that cancel queries
WAITING = 64  # queries that run or wait at once
TRIES = 3  # of a query whose tables change meanwhile
PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)  # seconds after each try to cancel a query

logger = logging.getLogger(__name__)


class TooBusy(WarehouseUnavailable):
    """As many queries wait as the server lets wait."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: a report, its values with defaults, the state of its tables, and the format.

    `etag` names the answer; None while the data has no certain version. An `empty` request asks for a reversed range,
    and has no rows.
    """

    report: ReportDeclaration
    values: Mapping[str, Value]
    state: DataState
    wire_format: WireFormat
    form: Form = USUAL
    empty: bool = False

    @property
    def rows_key(self) -> str:
        """Names the rows, in whatever format, as long as the data has its version."""
        asked = [self.report.digest, canonical(self.values), self.state.version]
        return sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

    @property
    def answer_key(self) -> str:
        """Names the rows in this format and form."""
        return sha256(f"{self.rows_key} {self.wire_format} {self.form.key}".encode()).hexdigest()

    @property
    def etag(self) -> str | None:
        return None if self.state.version is None else self.answer_key


@dataclass(frozen=True, slots=True)
class Answer:
    """The bytes of an answer; milliseconds in the queue, of the query and of the encoding, and the bytes it read.

    All four are 0 where the answer was kept.
    """

    body: bytes
    count: int
    state: DataState
    etag: str | None
    queue: float = 0.0
    warehouse: float = 0.0
    encoding: float = 0.0
    bytes_read: int = 0


@dataclass(frozen=True, slots=True)
class _Found:
    """Rows as an Arrow stream, and the state they are of; its version is None where that is not certain."""

    stream: bytes
    state: DataState
    queue: float
    milliseconds: float
    bytes_read: int


@dataclass(frozen=True, slots=True)
class _Job:
    """A query: the label of its jobs in the warehouse, when it was asked for, and what became of it."""

    label: str = field(default_factory=partial(token_hex, 8))
    asked: float = field(default_factory=time.monotonic)
    given_up: Event = field(default_factory=Event)
    ended: Event = field(default_factory=Event)


class ReportService:
    """The reports of one server. Belongs to its event loop; queries and encoding run in threads."""

    def __init__(
        self, reports: Sequence[ReportDeclaration], runs: Runs, versions: VersionsFile, cache: AnswerCache
    ) -> None:
        self.reports: Mapping[str, ReportDeclaration] = {report.name: report for report in reports}
        self._runs, self._versions, self._cache = runs, versions, cache
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="reports")
        self._cancelling = ThreadPoolExecutor(CANCELLING, thread_name_prefix="cancelling")
        self._queries = Flights[_Found]()
        self._answers = Flights[Answer]()

    def state(self, report: ReportDeclaration, values: Mapping[str, Value] | None = None) -> DataState:
        """The state of the report's tables now, or of the range that the values give."""
        return self._versions.state(report.over, report.span(values) if values else None)

    def asked(
        self,
        report: ReportDeclaration,
        given: Mapping[str, Any],
        wire_format: WireFormat,
        form: Form = USUAL,
        *,
        reversed_is_empty: bool = False,
    ) -> Asked:
        """The request that these parameters make; asks no warehouse.

        Raises:
            BadParameter: a parameter is unknown, missing or not allowed, or the range is.
            NoData: a default follows the newest data, and there is none.
            StorageError: the versions cannot be read.
        """
        values = values_of(report.parameters, given, self._versions.newest(report.over))
        empty = False
        try:
            report.check_range(values)
        except ReversedRange:
            if not reversed_is_empty:
                raise
            empty = True
        return Asked(report, values, self.state(report, values), wire_format, form, empty)

    def at_hand(self, asked: Asked) -> Answer | None:
        """The answer if it is in memory."""
        body = self._cache.at_hand(asked.etag) if asked.etag else None
        return self._kept(asked, body) if body else None

    async def answer(self, asked: Asked) -> Answer:
        """The answer, from what is kept or from the warehouse. Its state is that of the data it is of.

        A query whose last client stops waiting is cancelled.

        Raises:
            TooBusy: as many queries wait as the server lets wait.
            PlatformError: the query failed; see `Runs.run`.
        """
        return self.at_hand(asked) or await self._answers.share(asked.answer_key, partial(self._answered, asked))

    def close(self) -> None:
        """Wait for the threads; queries that have not started are cancelled."""
        self._pool.shutdown(cancel_futures=True)
        self._cancelling.shutdown(cancel_futures=True)

    async def _answered(self, asked: Asked) -> Answer:
        found = await self._rows(asked)
        return await self._in_thread(partial(self._encoded, asked, found))

    async def _rows(self, asked: Asked) -> _Found:
        """The rows; equal requests at once wait for one query."""
        key = asked.rows_key
        # guard: waiting queries have a bound
        if key not in self._queries and len(self._queries) >= WAITING:
            raise TooBusy(f"{WAITING} queries of reports run or wait already.", remedy="Try again in a moment.")
        return await self._queries.share(key, partial(self._query, asked))

    async def _query(self, asked: Asked) -> _Found:
        job = _Job()
        try:
            return await self._in_thread(partial(self._found, asked, job))
        except asyncio.CancelledError:
            job.given_up.set()
            with suppress(RuntimeError):  # the server ends
                self._cancelling.submit(self._cancel, job)
            raise

    def _cancel(self, job: _Job) -> None:
        """Cancel the job in the warehouse until it ends: it may be listed, or stop, only after a moment."""
        try:
            for pause in PAUSES:
                if not job.ended.is_set():
                    self._runs.cancel(job.label)
                job.ended.wait(pause)
        except PlatformError as error:
            logger.warning("a query that nobody waits for goes on: %s", error)

    def _found(self, asked: Asked, job: _Job) -> _Found:
        queue = (time.monotonic() - job.asked) * 1000
        try:
            return self._of_one_version(asked, job, queue)
        finally:
            job.ended.set()

    def _of_one_version(self, asked: Asked, job: _Job, queue: float) -> _Found:
        """The rows of a version that was there before and after the query; else those of the last try, uncertain."""
        after, milliseconds, bytes_read = asked.state, 0.0, 0
        for _ in range(TRIES):
            state = after
            key = replace(asked, state=state).rows_key
            if state.version and (kept := self._cache.get(key)):
                return _Found(kept, state, queue, milliseconds, bytes_read)
            rows = no_rows(asked.report) if asked.empty else self._runs.run(asked.report, asked.values, job.label)
            milliseconds, bytes_read = milliseconds + rows.milliseconds, bytes_read + rows.bytes_read
            stream, after = arrow_bytes(rows.table), self.state(asked.report, asked.values)
            # guard: an answer is kept only for the version it is of
            if state.version and after.version == state.version:
                self._cache.put(key, stream, on_disk=True)
                return _Found(stream, state, queue, milliseconds, bytes_read)
            # Once a change is under way, another try would be as uncertain.
            if after.version is None or job.given_up.is_set():
                break
        return _Found(stream, replace(state, version=None), queue, milliseconds, bytes_read)

    def _encoded(self, asked: Asked, found: _Found) -> Answer:
        began = time.monotonic()
        table = table_of(found.stream)
        whole = asked.wire_format is WireFormat.ARROW and not asked.form.capitals
        encode = partial(encoded, asked.report, asked.values, found.state.as_of, table)
        body = found.stream if whole else encode(wire_format=asked.wire_format, form=asked.form)
        if etag := replace(asked, state=found.state).etag:
            self._cache.put(etag, table.num_rows.to_bytes(8) + body, on_disk=False)
        milliseconds = (time.monotonic() - began) * 1000
        spent = (found.queue, found.milliseconds, milliseconds, found.bytes_read)
        return Answer(body, table.num_rows, found.state, etag, *spent)

    @staticmethod
    def _kept(asked: Asked, body: bytes) -> Answer:
        return Answer(body[8:], int.from_bytes(body[:8]), asked.state, asked.etag)

    async def _in_thread[T](self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)
