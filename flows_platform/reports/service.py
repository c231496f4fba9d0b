"""Answers requests for reports: from the cache while the tables are unchanged, otherwise by a query.

Equal requests at the same time share one query.
"""

import asyncio
import json
import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from hashlib import sha256
from secrets import token_hex
from threading import Event
from typing import Any

from flows_platform.domain.errors import PlatformError, WarehouseUnavailable
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.reports.cache import AnswerCache
from flows_platform.reports.declaration import ReportDeclaration, ReversedRange
from flows_platform.reports.encode import USUAL, Form, arrow_bytes, encoded, no_rows, table_of
from flows_platform.reports.parameters import canonical, values_of
from flows_platform.reports.runner import ReportRunner
from flows_platform.reports.single_flight import SingleFlight
from flows_platform.reports.values import Value
from flows_platform.reports.versions import DataState, VersionsFile

QUERYING = 4  # threads that wait for queries
ENCODING = 2  # threads that look into the cache and encode, also while all queries are slow
CANCELLING = 2  # threads that cancel queries
WAITING = 64  # queries that may run or wait at a time
TRIES = 3  # of a query whose tables change while it runs
PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)  # seconds after each attempt to cancel a query

logger = logging.getLogger(__name__)


class TooBusy(WarehouseUnavailable):
    """The server does not let more queries wait."""


@dataclass(frozen=True)
class Asked:
    """A request for a report.

    Args:
        report: The report.
        values: The values of all parameters, defaults included.
        state: The state of the report's tables.
        wire_format: The format of the answer.
        form: The form of the answer.
        empty: Whether the request asks for a reversed range, which has no rows.
    """

    report: ReportDeclaration
    values: Mapping[str, Value]
    state: DataState
    wire_format: WireFormat
    form: Form = USUAL
    empty: bool = False

    @cached_property
    def rows_key(self) -> str:
        """Identifies the rows in any format, as long as the data keeps its version."""
        asked = [self.report.digest, canonical(self.values), self.state.version]
        return sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

    @cached_property
    def answer_key(self) -> str:
        """Identifies the rows in this format and form."""
        return sha256(f"{self.rows_key} {self.wire_format} {self.form.key}".encode()).hexdigest()

    @property
    def etag(self) -> str | None:
        """Identifies the answer; None while the data has no certain version."""
        return None if self.state.version is None else self.answer_key

    def at(self, state: DataState) -> "Asked":
        """The same request with another state of the tables."""
        return self if state == self.state else replace(self, state=state)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a request.

    Args:
        body: Its bytes, which the cache may hold.
        count: The number of its rows.
        state: The state of the data from which it was made.
        etag: Identifies the answer; None if the version of the data is uncertain.
        queue: Milliseconds for which the query waited; 0 for an answer from the cache, as are all that follow.
        warehouse: Milliseconds that the query took.
        encoding: Milliseconds that the encoding took.
        bytes_read: Bytes that the query read.
    """

    body: memoryview
    count: int
    state: DataState
    etag: str | None
    queue: float = 0.0
    warehouse: float = 0.0
    encoding: float = 0.0
    bytes_read: int = 0


@dataclass(frozen=True, slots=True)
class _Found:
    """Rows as an Arrow stream, with the state of their data; its version is None if it is uncertain."""

    stream: bytes
    state: DataState
    queue: float
    milliseconds: float
    bytes_read: int


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """A query: the label of its jobs in the warehouse, the time of the request, and whether it is given up or over."""

    label: str = field(default_factory=partial(token_hex, 8))
    asked: float = field(default_factory=time.monotonic)
    given_up: Event = field(default_factory=Event)
    ended: Event = field(default_factory=Event)


class ReportService:
    """The reports of one server. Belongs to one event loop; queries and encoding run in threads."""

    def __init__(
        self, reports: Sequence[ReportDeclaration], runner: ReportRunner, versions: VersionsFile, cache: AnswerCache
    ) -> None:
        self.reports: Mapping[str, ReportDeclaration] = {report.name: report for report in reports}
        self._runner, self._versions, self._cache = runner, versions, cache
        self._querying = ThreadPoolExecutor(QUERYING, thread_name_prefix="reports")
        self._encoding = ThreadPoolExecutor(ENCODING, thread_name_prefix="encoding")
        self._cancelling = ThreadPoolExecutor(CANCELLING, thread_name_prefix="cancelling")
        self._running: dict[_Job, Future[_Found]] = {}
        self._queries = SingleFlight[_Found]()
        self._answers = SingleFlight[Answer]()

    def state(self, report: ReportDeclaration, values: Mapping[str, Value] | None = None) -> DataState:
        """The current state of the report's tables, or of the range that these values ask for."""
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
        """The request with these parameters. Does not ask the warehouse.

        Args:
            report: The report.
            given: The given parameters, as texts of a URL or values of JSON.
            wire_format: The format of the answer.
            form: The form of the answer.
            reversed_is_empty: Whether a reversed range has no rows, instead of being refused.

        Raises:
            BadParameter: a parameter is unknown, missing or not allowed, or the range is not allowed.
            NoData: a default depends on the newest data, and there is none.
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
        """The answer if it is in memory; None otherwise. Does not block."""
        body = self._cache.at_hand(asked.etag) if asked.etag else None
        return self._kept(asked, body) if body else None

    async def answer(self, asked: Asked) -> Answer:
        """The answer, from the cache or from the warehouse.

        A query is cancelled when the last client that waits for it leaves.

        Raises:
            TooBusy: the server does not let more queries wait.
            PlatformError: the query failed; see `ReportRunner.run`.
        """
        return self.at_hand(asked) or await self._answers.share(asked.answer_key, partial(self._answered, asked))

    def close(self) -> None:
        """Cancel all queries, and wait for the threads."""
        # guard: a shutdown waits for no query
        for job, future in self._running.items():
            self._give_up(job, future)
        self._querying.shutdown(cancel_futures=True)
        self._encoding.shutdown(cancel_futures=True)
        self._cancelling.shutdown(cancel_futures=True)

    async def _answered(self, asked: Asked) -> Answer:
        loop = asyncio.get_running_loop()
        if kept := await loop.run_in_executor(self._encoding, self._of_kept_rows, asked):
            return kept
        found = await self._rows(asked)
        return await loop.run_in_executor(self._encoding, self._encoded, asked, found)

    async def _rows(self, asked: Asked) -> _Found:
        """The rows by a query. Equal requests at the same time wait for one."""
        key = asked.rows_key
        # guard: waiting queries have a bound
        if key not in self._queries and len(self._queries) >= WAITING:
            raise TooBusy(f"{WAITING} queries of reports run or wait already.", remedy="Try again in a moment.")
        return await self._queries.share(key, partial(self._query, asked))

    async def _query(self, asked: Asked) -> _Found:
        job = _Job()
        future = self._running[job] = self._querying.submit(self._found, asked, job)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            self._give_up(job, future)
            raise
        finally:
            del self._running[job]

    def _give_up(self, job: _Job, future: Future[_Found]) -> None:
        # guard: a query that has not started is not cancelled in the warehouse
        if future.cancel():
            return
        job.given_up.set()
        with suppress(RuntimeError):  # the server is shutting down
            self._cancelling.submit(self._cancel, job)

    def _cancel(self, job: _Job) -> None:
        """Cancel the job in the warehouse, repeatedly: a job may be listed, or may stop, only after a moment."""
        try:
            for pause in PAUSES:
                if not job.ended.is_set():
                    self._runner.cancel(job.label)
                job.ended.wait(pause)
        except PlatformError as error:
            logger.warning("a query that nobody waits for goes on: %s", error)

    def _found(self, asked: Asked, job: _Job) -> _Found:
        queue = (time.monotonic() - job.asked) * 1000
        try:
            return self._of_one_version(asked, job, queue)
        finally:
            job.ended.set()

    def _of_kept_rows(self, asked: Asked) -> Answer | None:
        """The answer with rows from the cache. They are encoded at once, so that few are held."""
        kept = self._cache.get(asked.rows_key) if asked.state.version else None
        return self._encoded(asked, _Found(kept, asked.state, 0.0, 0.0, 0)) if kept else None

    def _of_one_version(self, asked: Asked, job: _Job, queue: float) -> _Found:
        """The rows of a version that is current before and after the query; else the last rows, without a version."""
        after, milliseconds, bytes_read = asked.state, 0.0, 0
        for _ in range(TRIES):
            state = after
            key = asked.at(state).rows_key
            if state.version and (kept := self._cache.get(key)):
                return _Found(kept, state, queue, milliseconds, bytes_read)
            rows = no_rows(asked.report) if asked.empty else self._runner.run(asked.report, asked.values, job.label)
            milliseconds, bytes_read = milliseconds + rows.milliseconds, bytes_read + rows.bytes_read
            stream, after = arrow_bytes(rows.table), self.state(asked.report, asked.values)
            # guard: an answer is kept only for the version it is of
            if state.version and after.version == state.version:
                self._cache.put(key, stream, on_disk=True)
                return _Found(stream, state, queue, milliseconds, bytes_read)
            # While a change is under way, another try would be just as uncertain.
            if after.version is None or job.given_up.is_set():
                break
        return _Found(stream, replace(state, version=None), queue, milliseconds, bytes_read)

    def _encoded(self, asked: Asked, found: _Found) -> Answer:
        began = time.monotonic()
        table = table_of(found.stream)
        whole = asked.wire_format is WireFormat.ARROW and not asked.form.capitals
        encode = partial(encoded, asked.report, asked.values, found.state.as_of, table)
        body = found.stream if whole else encode(wire_format=asked.wire_format, form=asked.form)
        if etag := asked.at(found.state).etag:
            self._cache.put(etag, table.num_rows.to_bytes(8) + body, on_disk=False)
        milliseconds = (time.monotonic() - began) * 1000
        spent = (found.queue, found.milliseconds, milliseconds, found.bytes_read)
        return Answer(memoryview(body), table.num_rows, found.state, etag, *spent)

    @staticmethod
    def _kept(asked: Asked, body: bytes) -> Answer:
        return Answer(memoryview(body)[8:], int.from_bytes(body[:8]), asked.state, asked.etag)
