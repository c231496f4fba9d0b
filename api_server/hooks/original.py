"""What readers of threatstack-to-s3 find at its paths: alerts of a range, an alert, the state of archive and vendor."""

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
from api_server.hooks.reading import FRESH, Source
from api_server.hooks.streams import RecordStreams
from api_server.http.admission import Admission
from api_server.http.bodies import BodyReader
from api_server.http.feature import Endpoint
from api_server.http.parameters import refuse_parameters
from api_server.http.streaming import SlotResponse
from api_server.http.tokens import Scope
from flows_platform.domain.errors import StorageError
from flows_platform.formats.protocol.names import WireFormat
from flows_platform.webhooks.listing import KeyList
from flows_platform.webhooks.reading import PENDING, Found
from flows_platform.webhooks.receiver import PARSING

RETRY_SECONDS = 5
FORM, LONGEST_FORM = "application/x-www-form-urlencoded", 4096  # bytes
JSON = WireFormat.JSON.content_type
PRIVATE = {"Cache-Control": "private, no-cache"}


def bases(declared: tuple[str, ...]) -> list[str]:
    """The paths below which readers expect the original's answers, of those at which a source is received."""
    ending = f"{paths.ORIGINAL}{paths.ALERTS}"
    return [path.removesuffix(paths.ALERTS) for path in declared if path.endswith(ending)]


def scopes(base: str) -> dict[str, Scope]:
    """The scopes of the paths below a base."""
    alerts = f"{base}{paths.ALERTS}"
    return {alerts: Scope.ALERTS_READ, f"{alerts}/{{id}}": Scope.ALERTS_READ, f"{base}/status": Scope.STATUS_READ}


class OriginalRoutes:
    """The endpoints of one source below one of its bases.

    Args:
        base: The path, without `/alert`.
        source: The source.
        streams: Reads records.
        admission: The limit of streams at once.
        bodies: Reads forms.
    """

    def __init__(
        self, base: str, source: Source, streams: RecordStreams, admission: Admission, bodies: BodyReader
    ) -> None:
        self._base, self._source, self._streams, self._admission = base, source, streams, admission
        self._bodies = bodies

    def endpoints(self) -> dict[str, Endpoint]:
        """What answers at every path."""
        answering = (self._alerts, self._alert, self._status)
        return dict(zip(scopes(self._base), map(self._answering, answering), strict=True))

    def _answering(self, endpoint: Endpoint) -> Endpoint:
        async def answer(request: Request) -> Response:
            with problems.storage():
                return await endpoint(request)

        return answer

    async def _alerts(self, request: Request) -> Response:
        query = await self._query(request)
        asked, limit, after = alerts_asked(query)
        reader = self._source.reader
        slot = self._admission.take()
        try:
            # One more than the answer has: it says whether there are others.
            found = await self._streams.run(
                lambda: list(islice(reader.between(asked.start, asked.end, after), limit + 1))
            )
        except BaseException:
            slot.release()
            raise
        keys, headers = KeyList(found[:limit]), {"Content-Type": JSON, **FRESH}
        following = reader.position(found[limit - 1]) if len(found) > limit else ""
        if following:
            given = dict(parse_qsl(query.decode("latin-1"))) | {"after": following}
            headers["Link"] = f'<{request.url.path}?{urlencode(given)}>; rel="next"'
        return SlotResponse(self._body(keys, following), headers, slot, keys.close, (StorageError,))

    async def _query(self, request: Request) -> bytes:
        """The parameters of the URL, and those of a form, which clients of the original send with a GET."""
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
        body = b'{"success":true,"alert":' + _alert(found) + b"}"
        if found.state == PENDING:
            retry = {"Retry-After": str(RETRY_SECONDS)}
            return Response(body, HTTPStatus.ACCEPTED, FRESH | retry, JSON)
        tag = f'"{sha256(body).hexdigest()[:32]}"'
        headers = {"ETag": tag, **PRIVATE}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(body, headers=headers, media_type=JSON)

    async def _status(self, request: Request) -> Response:
        refuse_parameters(request.scope["query_string"])
        return JSONResponse(await self._streams.run(self._state), headers=FRESH)

    def _state(self) -> Mapping[str, Any]:
        """The state; the archive is asked, and what is known of the vendor is what its last answers said."""
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


def _alert(found: Found) -> bytes:
    """The detail as the vendor sent it; while there is none, the webhook's record with the state of its detail.

    The record's own bytes stay, since numbers would change, and so does a member `detail` of its own.
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
    with PARSING:
        return "detail" in json.loads(record)
