"""The stream of flows over HTTP: query string and headers to a response that streams. Does not know SQL."""

from collections.abc import Sequence

import apsw
from starlette.requests import Request
from starlette.responses import Response

from api_server.flows.parameters import parse_stream
from api_server.flows.state import FlowsState
from api_server.flows.streams import Shape
from api_server.http.feature import Endpoint
from api_server.http.negotiation import choose_coding, choose_format, content_headers, header_list
from api_server.http.responses import headers_alone
from api_server.http.shared import shared_of
from api_server.http.streaming import SlotResponse
from flows_platform.domain.errors import InputError
from flows_platform.formats.protocol.names import RECORD_COUNT_HEADER, WireFormat

FAILURES = (InputError, apsw.Error)


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
            return headers_alone(content_headers(wire_format, coding) | _counted(count))
        slot = shared_of(request).admission.take()
        try:
            stream = await state.run(
                lambda: state.streams.open(query, Shape(state.encoder(wire_format), coding, asked.proof))
            )
        except BaseException:
            slot.release()
            raise
        headers = content_headers(wire_format, coding) | _counted(stream.count)
        return SlotResponse(stream.body(state.workers), headers, slot, stream.close, FAILURES)

    return stream_flows


def _counted(count: int) -> dict[str, str]:
    return {RECORD_COUNT_HEADER: str(count)}
