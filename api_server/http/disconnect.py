"""Work for one client, which ends when the client closes its connection."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from starlette.requests import ClientDisconnect, Request


async def until_disconnect[T](request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of the work, which is cancelled when the client closes its connection.

    Raises:
        ClientDisconnect: the client closed it.
    """
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        # guard: work ends with its client
        if not task.done():
            raise ClientDisconnect
        return await task
    finally:
        task.cancel()
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
