"""The stream of flows over HTTP: query string and headers to a response that streams. Does not know SQL."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence

import apsw
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from api_server.flows.parameters import parse_stream
from api_server.flows.state import FlowsState
from api_server.flows.streams import RecordStream, Shape
from api_server.http.admission import Slot
from api_server.http.connection import reset
from api_server.http.feature import Endpoint
from api_server.http.negotiation import choose_coding, choose_format, content_headers, header_list
from api_server.http.shared import shared_of
from flows_platform.domain.errors import InputError
from flows_platform.formats.protocol.names import RECORD_COUNT_HEADER, WireFormat

logger = logging.getLogger(__name__)


class StreamAborted(Exception):
    """Makes servers other than ours cut the connection; it has no handler."""


class RecordResponse(StreamingResponse):
    """Streams records; however it ends, the stream's connections are freed at once, not when memory is collected.

    A stream that fails resets its connection, so that no reader takes a fragment for the whole.
    """

    def __init__(
        self, stream: RecordStream, body: AsyncIterator[bytes], headers: Mapping[str, str], slot: Slot
    ) -> None:
        super().__init__(body, headers=headers)
        self._stream, self._slot = stream, slot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except (InputError, apsw.Error) as error:
            # guard: a failed stream is reset
            _abort(scope, str(error))
        except asyncio.CancelledError:
            _abort(scope, "the server is stopping")
        except BaseException:
            reset(scope)
            raise
        finally:
            # guard: a stream's connections are freed
            self._stream.close()
            # guard: a stream's slot is freed
            self._slot.release()


def _abort(scope: Scope, reason: str) -> None:
    logger.error("stream %s?%s aborted: %s", scope["path"], scope["query_string"].decode("latin-1"), reason)
    if not reset(scope):
        raise StreamAborted(reason)


def stream_endpoint(state: FlowsState, formats: Sequence[WireFormat]) -> Endpoint:
    """The endpoint of a path that offers `formats`; where there is only one, Accept is ignored."""

    async def stream_flows(request: Request) -> Response:
        asked = parse_stream(request.scope["query_string"], formats)
        # guard: rows that have not happened are hidden
        query = state.visible(asked.query)
        fixed = asked.wire_format or (formats[0] if len(formats) == 1 else None)
        wire_format = fixed or choose_format(header_list(request.headers, "accept"), formats)
        coding = choose_coding(header_list(request.headers, "accept-encoding"))
        if request.method == "HEAD":
            count = await state.run(lambda: state.streams.count(query))
            return StreamingResponse(_nothing(), headers=content_headers(wire_format, coding) | _counted(count))
        slot = shared_of(request).admission.take()
        try:
            stream = await state.run(
                lambda: state.streams.open(query, Shape(state.encoder(wire_format), coding, asked.proof))
            )
        except BaseException:
            slot.release()
            raise
        headers = content_headers(wire_format, coding) | _counted(stream.count)
        return RecordResponse(stream, stream.body(state.workers), headers, slot)

    return stream_flows


def _counted(count: int) -> dict[str, str]:
    return {RECORD_COUNT_HEADER: str(count)}


async def _nothing() -> AsyncIterator[bytes]:
    empty: tuple[bytes, ...] = ()
    for piece in empty:
        yield piece
