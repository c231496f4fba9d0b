"""How many streams run at once. Counts streams alone: an idle socket, HEAD or a poll of `latest` takes no place."""

import asyncio
from contextlib import suppress
from http import HTTPStatus

from api_server.http.problems import Problem

# Streams last from milliseconds to minutes; clients are expected to spread their own tries.
RETRY_SECONDS = 2
LAST_SECONDS = 1


class Place:
    """The right to run one stream."""

    def __init__(self, admission: "Admission") -> None:
        self._admission: Admission | None = admission

    def release(self) -> None:
        """Leave it to another. May be called twice."""
        if self._admission is not None:
            self._admission.leave()
            self._admission = None


class Admission:
    """The places there are. Belongs to the event loop's thread."""

    def __init__(self, places: int) -> None:
        self._places = places
        self.active = 0
        self._empty = asyncio.Event()
        self._empty.set()

    def take(self) -> Place:
        """A place; who has one keeps it to the end of the stream.

        Raises:
            Problem: all are taken.
        """
        # guard: admission of streams
        if self.active >= self._places:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "too-many-streams",
                f"{self._places} streams are running, as many as this server runs at once.",
                headers={"Retry-After": str(RETRY_SECONDS)},
            )
        self.active += 1
        self._empty.clear()
        return Place(self)

    def leave(self) -> None:
        """One stream less; `Place` calls it."""
        self.active -= 1
        if not self.active:
            self._empty.set()

    async def drained(self) -> None:
        """Wait until no stream runs, at most a second: those that were cut off still reset their connections."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), LAST_SECONDS)
