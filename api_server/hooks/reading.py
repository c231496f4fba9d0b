"""Archived records over HTTP, in our own form: what there is of a source, a range, a record, and what changed."""

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
from api_server.http.streaming import SlotResponse
from flows_platform.domain.errors import StorageError
from flows_platform.formats.protocol.names import RECORD_COUNT_HEADER, WireFormat
from flows_platform.webhooks.declaration import WebhookDeclaration
from flows_platform.webhooks.lines import line
from flows_platform.webhooks.listing import KeyList
from flows_platform.webhooks.reading import PENDING, RecordReader

FRESH = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Source:
    """A source whose records are read."""

    declaration: WebhookDeclaration
    reader: RecordReader
    wake: Callable[[], None] | None  # begins to fetch details that are due


class ReadingRoutes:
    """The endpoints of all sources in our own form.

    Args:
        sources: By their names.
        streams: Reads records.
        admission: The limit of streams at once.
    """

    def __init__(self, sources: Mapping[str, Source], streams: RecordStreams, admission: Admission) -> None:
        self._sources, self._streams, self._admission = sources, streams, admission

    async def list(self, request: Request) -> Response:
        """All sources."""
        refuse_parameters(request.scope["query_string"])
        found = [await self._overview(source) for source in self._sources.values()]
        return JSONResponse({"hooks": found}, headers=FRESH)

    async def one(self, request: Request) -> Response:
        """What there is of a source, and the time of the answer: the archive has everything that came until then."""
        refuse_parameters(request.scope["query_string"])
        return JSONResponse(await self._overview(self._source(request)), headers=FRESH)

    async def changes(self, request: Request) -> Response:
        """The minutes whose records changed after a number."""
        given = fields(request.scope["query_string"], [CHANGED_AFTER.name])
        after = CHANGED_AFTER.parse(given[CHANGED_AFTER.name]) if given else 0
        reader = self._source(request).reader
        found = await self._run(lambda: reader.changes(after))
        changes = [asdict(one) | {"minute": f"{one.minute:%Y-%m-%dT%H:%MZ}"} for one in found.changes]
        document = {"journal": found.journal, "number": found.number, "more": found.more, "changes": changes}
        return JSONResponse(document, headers=FRESH)

    async def records(self, request: Request) -> Response:
        """The records of a range, with their details, as lines of JSON."""
        asked, footer, digest = records_asked(request.scope["query_string"])
        reader = self._source(request).reader
        slot = self._admission.take()
        try:
            keys = await self._run(lambda: KeyList(reader.between(asked.start, asked.end)))
        except BaseException:
            slot.release()
            raise
        headers = {"Content-Type": WireFormat.NDJSON.content_type, RECORD_COUNT_HEADER: str(keys.count), **FRESH}
        if request.method == "HEAD":
            keys.close()
            slot.release()
            return _head(headers)
        body = self._streams.lines(reader, keys, footer=footer, digest=digest)
        return SlotResponse(body, headers, slot, keys.close, (StorageError,))

    async def record(self, request: Request) -> Response:
        """A record with its detail."""
        refuse_parameters(request.scope["query_string"])
        reader = self._source(request).reader
        key = await self._key(reader, request.path_params["id"])
        with problems.storage():
            found = await self._streams.found(reader, key)
        body = line(found.id, found.webhook, found.detail, found.state, found.detail_at)
        return Response(body, headers=FRESH, media_type=WireFormat.JSON.content_type)

    async def detail(self, request: Request) -> Response:
        """Fetch the detail of a record again."""
        refuse_parameters(request.scope["query_string"])
        source, record_id = self._source(request), request.path_params["id"]
        await self._key(source.reader, record_id)
        # guard: a detail that is there is not fetched again
        if not await self._run(lambda: source.reader.replay(record_id, time.time())):
            raise problems.no_detail_due(record_id)
        if source.wake:
            source.wake()
        return JSONResponse({"id": record_id, "detail_state": PENDING}, HTTPStatus.ACCEPTED, FRESH)

    def endpoints(self) -> dict[str, Endpoint]:
        """What answers at every path."""
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
        with problems.storage():
            return await self._streams.run(work)


def _head(headers: Mapping[str, str]) -> Response:
    response = Response(headers=headers)
    del response.headers["content-length"]  # that of the answer to GET is not known
    return response
