"""Answers of reports: from what is kept while the tables are unchanged, else from one query for all who ask at once."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any

from flows_platform.domain.errors import WarehouseUnavailable
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.reports.answers import Runs
from flows_platform.reports.bodies import USUAL, Form, arrow_bytes, encoded, no_rows, table_of
from flows_platform.reports.cache import AnswerCache
from flows_platform.reports.declaration import ReportDeclaration, ReversedRange
from flows_platform.reports.parameters import canonical, values_of
from flows_platform.reports.values import Value
from flows_platform.reports.versions import DataState, VersionsFile

THREADS = 4
WAITING = 64  # queries that run or wait at once


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
    def etag(self) -> str | None:
        if self.state.version is None:
            return None
        return sha256(f"{self.rows_key} {self.wire_format} {self.form.key}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Answer:
    """The bytes of an answer; milliseconds of the query and of the encoding, 0 where the answer was kept."""

    body: bytes
    count: int
    state: DataState
    etag: str | None
    warehouse: float = 0.0
    encoding: float = 0.0


@dataclass(frozen=True, slots=True)
class _Found:
    """Rows as an Arrow stream, and whether they are of the version that was asked for."""

    stream: bytes
    milliseconds: float
    certain: bool


class ReportService:
    """The reports of one server. Belongs to its event loop; queries and encoding run in threads."""

    def __init__(
        self, reports: Sequence[ReportDeclaration], runs: Runs, versions: VersionsFile, cache: AnswerCache
    ) -> None:
        self.reports: Mapping[str, ReportDeclaration] = {report.name: report for report in reports}
        self._runs, self._versions, self._cache = runs, versions, cache
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="reports")
        self._flights: dict[str, asyncio.Task[_Found]] = {}

    def state(self, report: ReportDeclaration) -> DataState:
        """The state of the report's tables now."""
        return self._versions.state(report.over)

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
        state = self.state(report)
        values = values_of(report.parameters, given, state.as_of)
        empty = False
        try:
            report.check_range(values)
        except ReversedRange:
            if not reversed_is_empty:
                raise
            empty = True
        return Asked(report, values, state, wire_format, form, empty)

    def at_hand(self, asked: Asked) -> Answer | None:
        """The answer if it is in memory."""
        body = self._cache.at_hand(asked.etag) if asked.etag else None
        return self._kept(asked, body) if body else None

    async def answer(self, asked: Asked) -> Answer:
        """The answer, from what is kept or from the warehouse.

        Raises:
            TooBusy: as many queries wait as the server lets wait.
            PlatformError: the query failed; see `Runs.run`.
        """
        if held := self.at_hand(asked):
            return held
        found = await self._rows(asked)
        return await self._in_thread(lambda: self._encoded(asked, found))

    def close(self) -> None:
        """Wait for the threads; queries that have not started are cancelled."""
        self._pool.shutdown(cancel_futures=True)

    async def _rows(self, asked: Asked) -> _Found:
        """The rows; equal requests at once wait for one query, which goes on where one of them is given up."""
        key = asked.rows_key
        flight = self._flights.get(key)
        if flight is None:
            # guard: waiting queries have a bound
            if len(self._flights) >= WAITING:
                raise TooBusy(f"{WAITING} queries of reports run or wait already.", remedy="Try again in a moment.")
            flight = asyncio.create_task(self._in_thread(lambda: self._found(asked)))
            # guard: equal requests are one query
            self._flights[key] = flight
            flight.add_done_callback(lambda _: self._flights.pop(key, None))
        return await asyncio.shield(flight)

    def _found(self, asked: Asked) -> _Found:
        certain = asked.state.version is not None
        if certain and (kept := self._cache.get(asked.rows_key)):
            return _Found(kept, 0.0, certain=True)
        rows = no_rows(asked.report) if asked.empty else self._runs.run(asked.report, asked.values)
        stream = arrow_bytes(rows.table)
        # guard: an answer is kept only for the version it is of
        certain = certain and self.state(asked.report).version == asked.state.version
        if certain:
            self._cache.put(asked.rows_key, stream, on_disk=True)
        return _Found(stream, rows.milliseconds, certain)

    def _encoded(self, asked: Asked, found: _Found) -> Answer:
        began = time.monotonic()
        table = table_of(found.stream)
        count = table.num_rows
        as_of = asked.state.as_of
        whole = asked.wire_format is WireFormat.ARROW and not asked.form.capitals
        encode = partial(encoded, asked.report, asked.values, as_of, table)
        body = found.stream if whole else encode(wire_format=asked.wire_format, form=asked.form)
        etag = asked.etag if found.certain else None
        if etag:
            self._cache.put(etag, count.to_bytes(8) + body, on_disk=False)
        milliseconds = (time.monotonic() - began) * 1000
        return Answer(body, count, asked.state, etag, found.milliseconds, milliseconds)

    @staticmethod
    def _kept(asked: Asked, body: bytes) -> Answer:
        return Answer(body[8:], int.from_bytes(body[:8]), asked.state, asked.etag)

    async def _in_thread[T](self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)
