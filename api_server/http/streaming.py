"""A response that streams within a slot, and what happens if the stream fails."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api_server.http.admission import Slot
from api_server.http.connection import reset

logger = logging.getLogger(__name__)


class StreamAborted(Exception):
    """Has no handler, so that servers other than ours cut the connection."""


class SlotResponse(StreamingResponse):
    """A streaming response that holds a slot. However it ends, its resources are freed at once.

    A stream that fails resets its connection, so that no reader takes a fragment for the whole.

    Args:
        body: The stream.
        headers: The headers of the response.
        slot: The slot.
        close: Frees the resources of the stream.
        failures: Expected errors, of which the log needs only the message.
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
