"""What clients of threatstack-to-s3 read: the alerts of a range, one alert, and the state of archive and vendor."""

import json
import time
from collections.abc import AsyncIterator, Mapping
from hashlib import sha256
from http import HTTPStatus
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api_server.hooks import paths, problems
from api_server.hooks.parameters import alerts_asked
from api_server.hooks.read_routes import Source
from api_server.hooks.streams import RecordStreams
from api_server.http.admission import Admission
from api_server.http.bodies import BodyReader
from api_server.http.feature import Endpoint
from api_server.http.parameters import refuse_parameters
from api_server.http.problems import retry_after
from api_server.http.responses import NO_STORE, matching_tag
from api_server.http.streaming import SlotResponse
from flows_platform.domain.errors import StorageError
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.webhooks.archived_records import ArchivedRecord
from flows_platform.webhooks.detail_queue import PENDING
from flows_platform.webhooks.key_list import KeyList
from flows_platform.webhooks.parsing import one_body

RETRY_SECONDS = 5
FORM, LONGEST_FORM = "application/x-www-form-urlencoded", 4096  # bytes
JSON = WireFormat.JSON.content_type
PRIVATE = {"Cache-Control": "private, no-cache"}


class ThreatStackRoutes:
    """The endpoints of one source at its paths of threatstack-to-s3.

    Args:
        base: The paths' common beginning; see `threatstack_bases`.
        source: The source.
        streams: Streams its records.
        admission: Limits the number of ranges that are read at a time.
        bodies: Reads forms.
    """

    def __init__(
        self, base: str, source: Source, streams: RecordStreams, admission: Admission, bodies: BodyReader
    ) -> None:
        self._base, self._source, self._streams, self._admission = base, source, streams, admission
        self._bodies = bodies

    def endpoints(self) -> dict[str, Endpoint]:
        """The endpoints by their paths."""
        answering = (self._alerts, self._alert, self._status)
        return dict(zip(paths.threatstack_scopes(self._base), map(self._answering, answering), strict=True))

    def _answering(self, endpoint: Endpoint) -> Endpoint:
        async def answer(request: Request) -> Response:
            with problems.reading_archive():
                return await endpoint(request)

        return answer

    async def _alerts(self, request: Request) -> Response:
        query = await self._query(request)
        asked, limit, after = alerts_asked(query)
        reader = self._source.reader
        slot = self._admission.take()
        try:
            # One more than the limit shows whether there are further alerts.
            found = await self._streams.run(
                lambda: list(islice(reader.between(asked.start, asked.end, after), limit + 1))
            )
        except BaseException:
            slot.release()
            raise
        keys, headers = KeyList(found[:limit]), {"Content-Type": JSON, **NO_STORE}
        following = reader.position(found[limit - 1]) if len(found) > limit else ""
        if following:
            given = dict(parse_qsl(query.decode("latin-1"))) | {"after": following}
            headers["Link"] = f'<{request.url.path}?{urlencode(given)}>; rel="next"'
        return SlotResponse(self._body(keys, following), headers, slot, keys.close, (StorageError,))

    async def _query(self, request: Request) -> bytes:
        """The parameters of the URL, and those of the form that clients of threatstack-to-s3 send with a GET."""
        in_url: bytes = request.scope["query_string"]
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
            return in_url
        async with self._bodies.body(request, LONGEST_FORM) as form:
            return b"&".join(filter(None, (in_url, form)))

    async def _body(self, keys: KeyList, following: str) -> AsyncIterator[bytes]:
        yield b'{"success":true,"alerts":['
        async for members in self._streams.members(self._source.reader, keys, _alert):
            yield members
        yield f"]{f',"next":{json.dumps(following)}' if following else ''}}}".encode()

    async def _alert(self, request: Request) -> Response:
        refuse_parameters(request.scope["query_string"])
        record_id, reader = request.path_params["id"], self._source.reader
        key = await self._streams.run(lambda: reader.key_of(record_id))
        if key is None:
            raise problems.unknown_record(record_id)
        found = await self._streams.found(reader, key)
        body = b'{"success":true,"alert":' + await self._streams.run(lambda: _alert(found)) + b"}"
        if found.state == PENDING:
            return Response(body, HTTPStatus.ACCEPTED, NO_STORE | retry_after(RETRY_SECONDS), JSON)
        etag = sha256(body).hexdigest()[:32]
        headers = {"ETag": f'"{etag}"', **PRIVATE}
        if matching_tag(request, etag):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(body, headers=headers, media_type=JSON)

    async def _status(self, request: Request) -> Response:
        refuse_parameters(request.scope["query_string"])
        return JSONResponse(await self._streams.run(self._state), headers=NO_STORE)

    def _state(self) -> Mapping[str, Any]:
        """The state: that of the archive is current, that of the vendor is known from its last answers."""
        reader = self._source.reader
        reader.require_readable()
        found = reader.overview(time.time())
        vendor = {"success": False, "error": found.stopped} if found.stopped else {"success": True}
        return {
            "success": not found.stopped,
            "s3": {"success": True},
            "threatstack": vendor,
            "pending": found.pending,
            "oldest_pending_seconds": found.oldest_pending_seconds,
            "dead": found.dead,
        }


def _alert(found: ArchivedRecord) -> bytes:
    """The detail as the vendor sent it; without one, the delivered record with the state of its detail as `detail`.

    The state is inserted into the record's bytes, since encoding it again could change numbers. A record with a member
    `detail` of its own stays as it is.
    """
    if found.detail is not None or found.state is None:
        return found.webhook if found.detail is None else found.detail
    if _has_detail(found.webhook):
        return found.webhook
    return found.webhook.rstrip()[:-1] + f',"detail":"{found.state}"}}'.encode()


def _has_detail(record: bytes) -> bool:
    """Whether a record has a member `detail`. One is parsed where it may: that takes up to 40 times its bytes."""
    if b'"detail"' not in record and b"\\u" not in record:
        return False
    with one_body():
        return "detail" in json.loads(record)
