"""The endpoints that read an archive: a source's figures, the records of a range, one record, and changes."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api_server.hooks import paths, problems
from api_server.hooks.parameters import CHANGED_AFTER, records_asked
from api_server.hooks.streams import RecordStreams
from api_server.http.admission import Admission
from api_server.http.feature import Endpoint
from api_server.http.parameters import brief, fields, refuse_parameters
from api_server.http.problems import Problem
from api_server.http.responses import NO_STORE, headers_alone
from api_server.http.streaming import SlotResponse
from flows_platform.domain.errors import StorageError
from flows_platform.formats.protocol.names import RECORD_COUNT_HEADER, WireFormat
from flows_platform.webhooks.archived_records import RecordReader
from flows_platform.webhooks.declaration import WebhookDeclaration
from flows_platform.webhooks.detail_queue import PENDING
from flows_platform.webhooks.key_list import KeyList


@dataclass(frozen=True, slots=True)
class Source:
    """A source whose records are read.

    Args:
        declaration: Its declaration.
        reader: Reads its records.
        wake: Wakes the worker that fetches its details; None if its details are not fetched.
    """

    declaration: WebhookDeclaration
    reader: RecordReader
    wake: Callable[[], None] | None


class ReadRoutes:
    """The endpoints that read the archives of all sources.

    Args:
        sources: The sources, by their names.
        streams: Streams their records.
        admission: Limits the number of ranges that are read at a time.
    """

    def __init__(self, sources: Mapping[str, Source], streams: RecordStreams, admission: Admission) -> None:
        self._sources, self._streams, self._admission = sources, streams, admission

    async def list(self, request: Request) -> Response:
        """The figures of all sources."""
        refuse_parameters(request.scope["query_string"])
        found = [await self._overview(source) for source in self._sources.values()]
        return JSONResponse({"hooks": found}, headers=NO_STORE)

    async def one(self, request: Request) -> Response:
        """The figures of a source, and the time of the answer: the archive has everything that came before."""
        refuse_parameters(request.scope["query_string"])
        return JSONResponse(await self._overview(self._source(request)), headers=NO_STORE)

    async def changes(self, request: Request) -> Response:
        """The minutes whose records changed after a given number."""
        given = fields(request.scope["query_string"], [CHANGED_AFTER.name])
        after = CHANGED_AFTER.parse(given[CHANGED_AFTER.name]) if given else 0
        reader = self._source(request).reader
        found = await self._run(lambda: reader.changes(after))
        changes = [asdict(one) | {"minute": f"{one.minute:%Y-%m-%dT%H:%MZ}"} for one in found.changes]
        document = {"journal": found.journal, "number": found.number, "more": found.more, "changes": changes}
        return JSONResponse(document, headers=NO_STORE)

    async def records(self, request: Request) -> Response:
        """The records of a range with their details, as NDJSON."""
        asked, footer, digest = records_asked(request.scope["query_string"])
        reader = self._source(request).reader
        slot = self._admission.take()
        try:
            keys = await self._run(lambda: KeyList(reader.between(asked.start, asked.end)))
        except BaseException:
            slot.release()
            raise
        headers = {"Content-Type": WireFormat.NDJSON.content_type, RECORD_COUNT_HEADER: str(keys.count), **NO_STORE}
        if request.method == "HEAD":
            keys.close()
            slot.release()
            return headers_alone(headers)
        body = self._streams.lines(reader, keys, footer=footer, digest=digest)
        return SlotResponse(body, headers, slot, keys.close, (StorageError,))

    async def record(self, request: Request) -> Response:
        """A record with its detail."""
        refuse_parameters(request.scope["query_string"])
        reader = self._source(request).reader
        key = await self._key(reader, request.path_params["id"])
        with problems.reading_archive():
            found = await self._streams.found(reader, key)
        body = found.line()
        return Response(body, headers=NO_STORE, media_type=WireFormat.JSON.content_type)

    async def detail(self, request: Request) -> Response:
        """Make a record's detail due, so that it is fetched again."""
        refuse_parameters(request.scope["query_string"])
        source, record_id = self._source(request), request.path_params["id"]
        await self._key(source.reader, record_id)
        # guard: a detail that is there is not fetched again
        if not await self._run(lambda: source.reader.replay(record_id, time.time())):
            raise problems.no_detail_due(record_id)
        if source.wake:
            source.wake()
        return JSONResponse({"id": record_id, "detail_state": PENDING}, HTTPStatus.ACCEPTED, NO_STORE)

    def endpoints(self) -> dict[str, Endpoint]:
        """The endpoints by their paths."""
        return {
            paths.LIST: self.list,
            paths.CHANGES: self.changes,
            paths.RECORDS: self.records,
            paths.DETAIL: self.detail,
            paths.RECORD: self.record,
            paths.ONE: self.one,
        }

    async def _key(self, reader: RecordReader, record_id: str) -> str:
        key = await self._run(lambda: reader.key_of(record_id))
        if key is None:
            raise problems.unknown_record(record_id)
        return key

    def _source(self, request: Request) -> Source:
        name = request.path_params["name"]
        if name not in self._sources:
            detail = f"There is no webhook {brief(name)}."
            raise Problem(HTTPStatus.NOT_FOUND, "not-found", detail, members={"allowed": list(self._sources)})
        return self._sources[name]

    async def _overview(self, source: Source) -> dict[str, Any]:
        found = await self._run(lambda: source.reader.overview(time.time()))
        declaration = source.declaration
        own = {"name": declaration.name, "paths": list(declaration.paths), "time": datetime.now(UTC).isoformat()}
        return own | asdict(found)

    async def _run[T](self, work: Callable[[], T]) -> T:
        with problems.reading_archive():
            return await self._streams.run(work)
