"""Limits how many streams, or other work, run at a time. Idle sockets, HEAD and polls of `latest` do not count."""

import asyncio
from contextlib import suppress
from http import HTTPStatus

from api_server.http.problems import Problem, retry_after

# Streams last from milliseconds to minutes; clients are expected to spread their own retries.
RETRY_SECONDS = 2
LAST_SECONDS = 1


class Slot:
    """The right to run one stream."""

    def __init__(self, admission: "Admission") -> None:
        self._admission: Admission | None = admission

    def release(self) -> None:
        """Free the slot. May be called twice."""
        if self._admission is not None:
            self._admission.leave()
            self._admission = None


class Admission:
    """A number of slots. Belongs to the event loop's thread.

    Args:
        slots: The number of slots.
        things: What takes slots, in the plural, for the problem and its kind.
    """

    def __init__(self, slots: int, things: str = "streams") -> None:
        self._slots, self._things = slots, things
        self.active = 0
        self._empty = asyncio.Event()
        self._empty.set()

    def take(self) -> Slot:
        """Take a slot, until it is released.

        Raises:
            Problem: all slots are taken.
        """
        # guard: admission of streams
        if self.active >= self._slots:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"too-many-{self._things}",
                f"{self._slots} {self._things} are running, and this server runs no more at a time.",
                headers=retry_after(RETRY_SECONDS),
            )
        self.active += 1
        self._empty.clear()
        return Slot(self)

    def leave(self) -> None:
        """Free a slot; called by `Slot`."""
        self.active -= 1
        if not self.active:
            self._empty.set()

    async def drained(self) -> None:
        """Wait until no stream runs, but at most a second. Streams that were cut off still reset their connections."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), LAST_SECONDS)
