"""A response that streams, and what happens where its stream fails."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api_server.http.admission import Slot
from api_server.http.connection import reset

logger = logging.getLogger(__name__)


class StreamAborted(Exception):
    """Makes servers other than ours cut the connection; it has no handler."""


class SlotResponse(StreamingResponse):
    """Streams within a slot; however it ends, what it holds is freed at once, not when memory is collected.

    A stream that fails resets its connection, so that no reader takes a fragment for the whole.

    Args:
        body: The stream.
        headers: Those of the response.
        slot: Its slot.
        close: Frees what the stream holds.
        failures: Errors that are no bug, and whose message the log needs alone.
    """

    def __init__(
        self,
        body: AsyncIterator[bytes],
        headers: Mapping[str, str],
        slot: Slot,
        close: Callable[[], None],
        failures: tuple[type[Exception], ...],
    ) -> None:
        super().__init__(body, headers=headers)
        self._slot, self._close, self._failures = slot, close, failures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except self._failures as error:
            # guard: a failed stream is reset
            _abort(scope, str(error))
        except asyncio.CancelledError:
            _abort(scope, "the server is stopping")
        except BaseException:
            reset(scope)
            raise
        finally:
            # guard: a stream's connections are freed
            self._close()
            # guard: a stream's slot is freed
            self._slot.release()


def _abort(scope: Scope, reason: str) -> None:
    logger.error("stream %s?%s aborted: %s", scope["path"], scope["query_string"].decode("latin-1"), reason)
    if not reset(scope):
        raise StreamAborted(reason)
