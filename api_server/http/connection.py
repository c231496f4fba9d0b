"""One client's connection: exact limits and deadlines around uvicorn's HTTP/1.1, and how it is cut.

uvicorn waits forever for a request's head and for a reader that takes nothing, and h11's own size limit applies only to
heads that come in pieces.
"""

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from weakref import WeakMethod

import h11
from starlette.types import Scope
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from api_server.config import ServerConfig
from api_server.http.problems import CONTENT_TYPE, Problem, encoded

# The limit of a request line and its headers, in bytes, including the blank line.
HEAD_BYTES = 16 * 1024
# No time to linger: closing sends a reset.
AT_ONCE = struct.pack("ii", 1, 0)
RESET = "reset"

logger = logging.getLogger(__name__)


class Deadline:
    """A call in the future, unless it is stopped before."""

    def __init__(self) -> None:
        self._handle: asyncio.TimerHandle | None = None

    def start(self, loop: asyncio.AbstractEventLoop, seconds: float, act: Callable[[], None]) -> None:
        """Start the timer, unless it runs already."""
        if self._handle is None:
            self._handle = loop.call_later(seconds, act)

    def stop(self) -> None:
        """Stop the timer."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


class GuardedConnection(H11Protocol):
    """uvicorn's protocol with limits; `for_config` returns the class with a server's settings."""

    settings: ServerConfig

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        # Weak, so that a connection is freed when it ends and not when memory is collected.
        super().__init__(config, server_state, {**app_state, RESET: WeakMethod(self.reset)}, _loop)
        self._waiting = bytearray()  # bytes that h11 has not seen yet
        self._head_deadline, self._write_deadline = Deadline(), Deadline()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        # Every byte that is not sent at once starts the write deadline, also the last ones of an answer. At high=0 a
        # TLS transport, which compares by >=, would pause on its empty buffer forever.
        # guard: write deadline of the rest
        transport.set_write_buffer_limits(high=int(self.scheme == "https"), low=0)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_deadline.stop()
        self._write_deadline.stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        self._feed()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._feed()

    def _feed(self) -> None:
        """Pass bytes to h11: never more than HEAD_BYTES of a head, and no request while another is being answered."""
        while self._waiting and not self.transport.is_closing():
            if self.conn.their_state not in {h11.IDLE, h11.SEND_BODY}:
                self.flow.pause_reading()
                break
            # guard: bytes of a head
            room = HEAD_BYTES - (self._head_so_far() if self.conn.their_state is h11.IDLE else 0)
            piece = bytes(self._waiting[:room])
            del self._waiting[:room]
            super().data_received(piece)
        self._watch()

    def _head_so_far(self) -> int:
        return len(self.conn.trailing_data[0])

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _watch(self) -> None:
        """A connection without an answer under way must send a complete head in time, however slowly its bytes come."""
        # guard: an answer is under way until its last byte is sent
        sending = self.transport.get_write_buffer_size() > 0
        if self._answering or sending or self.transport.is_closing():
            self._head_deadline.stop()
        else:
            # guard: head deadline
            self._head_deadline.start(self.loop, self.settings.head_seconds, self._head_is_late)

    def _head_is_late(self) -> None:
        if self.conn.their_state is h11.IDLE and self._head_so_far() and not self.transport.is_closing():
            detail = f"The request's head was not complete after {self.settings.head_seconds:g} seconds."
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "request-timeout", detail)
        else:
            # TLS does not say how many bytes are still to be sent: they have the write deadline.
            self.transport.close()
            self._write_deadline.start(self.loop, self.settings.write_seconds, self._reader_stalls)

    def pause_writing(self) -> None:
        super().pause_writing()
        # guard: write deadline
        self._write_deadline.start(self.loop, self.settings.write_seconds, self._reader_stalls)

    def resume_writing(self) -> None:
        self._write_deadline.stop()
        super().resume_writing()
        self._watch()

    def _reader_stalls(self) -> None:
        logger.warning("cut off %s: it did not take a chunk in %g s", self.client, self.settings.write_seconds)
        self.reset()

    def reset(self) -> None:
        """Reset the connection: an orderly close could be taken for the end of the data."""
        if self.cycle is not None:
            self.cycle.disconnected = True
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  uvicorn's text says less
        """Answer what is not HTTP, or a head that is too long, by a problem document as every other refusal."""
        if self._answering:
            self.reset()  # the answer under way cannot be followed by another
        elif self._head_so_far() >= HEAD_BYTES:
            detail = f"The request line and its headers are longer than {HEAD_BYTES} bytes."
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "request-too-large", detail)
        else:
            self._refuse(HTTPStatus.BAD_REQUEST, "not-http", "The request is not HTTP/1.1.")

    def _refuse(self, status: HTTPStatus, kind: str, detail: str) -> None:
        body = encoded(Problem(status, kind, detail))
        headers = {"Content-Type": CONTENT_TYPE, "Content-Length": str(len(body)), "Connection": "close"}
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        response = h11.Response(status_code=status, headers=pairs, reason=status.phrase.encode())
        for event in (response, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


def for_config(settings: ServerConfig) -> type[GuardedConnection]:
    """The protocol class of one server."""
    return type("Connection", (GuardedConnection,), {"settings": settings})


def reset(scope: Scope) -> bool:
    """Cut the connection of a request; False where another server runs the application."""
    method = scope.get("state", {}).get(RESET)
    bound = None if method is None else method()
    if bound is not None:
        bound()
    return method is not None
