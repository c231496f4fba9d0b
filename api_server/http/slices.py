"""Large bodies are sent in slices, and compressed while they are sent."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping

from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api_server.http.compression import COMPRESSORS, compressed
from api_server.http.connection import reset
from api_server.http.negotiation import ContentCoding

SLICE = 256 << 10  # bytes of a whole body that are sent at a time

logger = logging.getLogger(__name__)


class SlicedBodies:
    """Sends a body that comes as a whole in slices, and resets the connections of answers that a shutdown cuts off.

    A connection's deadline is for one slice, so that a slow reader gets all of a large body. Only one slice is copied
    for a connection, however many slow readers get the same body.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_sliced(message: Message) -> None:
            body = message.get("body", b"")
            # guard: a large body is sent in slices
            if len(body) <= SLICE or message.get("more_body", False):
                await send(message)
                return
            view = memoryview(body)
            for start in range(0, len(view), SLICE):
                part, more = bytes(view[start : start + SLICE]), start + SLICE < len(view)
                await send({"type": message["type"], "body": part, "more_body": more})

        try:
            await self._app(scope, receive, send_sliced)
        except asyncio.CancelledError:
            if not reset(scope):
                raise
            logger.error("%s %s aborted: the server is stopping", scope["method"], scope["path"])


def with_body(body: bytes | memoryview, headers: Mapping[str, str], coding: ContentCoding) -> Response:
    """An answer with this body, compressed by that coding.

    A large body is compressed while it is sent: that neither blocks the event loop, nor holds a compressed copy for
    each slow reader. Its Content-Length is not known.
    """
    if coding is ContentCoding.IDENTITY:
        return Response(body, headers=headers)
    if len(body) <= SLICE:
        return Response(compressed(bytes(body), coding), headers=headers)
    return StreamingResponse(_slices(body, coding), headers=headers)


async def _slices(body: bytes | memoryview, coding: ContentCoding) -> AsyncIterator[bytes]:
    compressor, view = COMPRESSORS[coding](), memoryview(body)
    for start in range(0, len(view), SLICE):
        yield compressor.join(compressor.prepare(bytes(view[start : start + SLICE])))
        await asyncio.sleep(0)  # other requests are served between two slices
    yield compressor.finish()
