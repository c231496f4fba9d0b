"""Bodies of requests: read up to a cap, within a deadline, and all together within a budget."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from starlette.requests import ClientDisconnect, Request

from api_server.http.admission import RETRY_SECONDS
from api_server.http.problems import Problem, retry_after

# What is not read would be taken for the next request.
CLOSE = {"Connection": "close"}


class BodyReader:
    """Reads the bodies of one server. Belongs to the event loop's thread.

    Args:
        seconds: How long a body may take, however slowly its bytes come.
        budget: Bytes of all bodies that are held at once.
        things: What has a body, in the plural, for the kind of problem where there are too many.
    """

    def __init__(self, seconds: float, budget: int, things: str = "bodies") -> None:
        self._seconds, self._budget, self._things = seconds, budget, things
        self.held = 0

    @asynccontextmanager
    async def body(self, request: Request, limit: int) -> AsyncIterator[bytes]:
        """The body of a request, which counts as held until the block ends.

        Raises:
            Problem: 413 for a body of more than `limit` bytes, 408 for one that is late, 503 where too many are held.
        """
        # It grows where it is: chunks by themselves would leave holes in the memory.
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
                detail = f"Bodies of {self._budget} bytes are held, as many as this server holds at once."
                kind = f"too-many-{self._things}"
                raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, kind, detail, headers=CLOSE | retry_after(RETRY_SECONDS))
            self.held += len(chunk)
            read += chunk


def _too_large(limit: int) -> Problem:
    detail = f"The body has more than {limit} bytes."
    return Problem(HTTPStatus.CONTENT_TOO_LARGE, "body-too-large", detail, headers=CLOSE)
