"""Reads bodies of requests: each up to a limit and within a deadline, all together within a budget."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from starlette.requests import ClientDisconnect, Request

from api_server.http.admission import RETRY_SECONDS
from api_server.http.problems import Problem, retry_after

# The rest of the body would be taken for the next request.
CLOSE = {"Connection": "close"}


class BodyReader:
    """Reads the bodies of one server. Belongs to the event loop's thread.

    Args:
        seconds: Seconds that a body may take to arrive.
        budget: Total size of the bodies that are held at a time.
        things: What has bodies, in the plural, for the kind of the problem of too many.
    """

    def __init__(self, seconds: float, budget: int, things: str = "bodies") -> None:
        self._seconds, self._budget, self._things = seconds, budget, things
        self.held = 0

    @asynccontextmanager
    async def body(self, request: Request, limit: int) -> AsyncIterator[bytes]:
        """The body of a request, which is held until the block ends.

        Raises:
            Problem: 413 for a body of more than `limit` bytes, 408 for one that is late, 503 if too many are held.
        """
        # One array that grows: separate chunks would fragment the memory.
        read, size = bytearray(), 0
        # guard: a long body is not read
        if int(request.headers.get("content-length", "0")) > limit:
            raise _too_large(limit)
        try:
            try:
                await self._read_in_time(request, limit, read)
            finally:
                size = len(read)
            body = bytes(read)
            del read
            yield body
        finally:
            self.held -= size

    async def _read_in_time(self, request: Request, limit: int, read: bytearray) -> None:
        try:
            # guard: body deadline
            async with asyncio.timeout(self._seconds):
                await self._read(request, limit, read)
        except TimeoutError:
            detail = f"The request's body was not complete after {self._seconds:g} seconds."
            raise Problem(HTTPStatus.REQUEST_TIMEOUT, "body-timeout", detail, headers=CLOSE) from None
        except ClientDisconnect:
            raise Problem(HTTPStatus.BAD_REQUEST, "not-http", "The body ended early.", headers=CLOSE) from None

    async def _read(self, request: Request, limit: int, read: bytearray) -> None:
        async for chunk in request.stream():
            # guard: a body without a length is limited
            if len(read) + len(chunk) > limit:
                raise _too_large(limit)
            # guard: bytes of all bodies
            if self.held + len(chunk) > self._budget:
                detail = f"Bodies of {self._budget} bytes are held, and this server holds no more at a time."
                kind = f"too-many-{self._things}"
                raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, kind, detail, headers=CLOSE | retry_after(RETRY_SECONDS))
            self.held += len(chunk)
            read += chunk


def _too_large(limit: int) -> Problem:
    detail = f"The body has more than {limit} bytes."
    return Problem(HTTPStatus.CONTENT_TOO_LARGE, "body-too-large", detail, headers=CLOSE)
