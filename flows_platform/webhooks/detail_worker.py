"""Fetches the details of archived records in threads of its own, so that no delivery waits for a vendor."""

import logging
import time
from collections.abc import Callable
from threading import Event, Thread
from typing import Protocol

from flows_platform.domain.errors import (
    PlatformError,
    SourceRefused,
    SourceUnavailable,
    StorageError,
    UnexpectedFailure,
)
from flows_platform.webhooks.archive import Archive
from flows_platform.webhooks.circuit import Circuit
from flows_platform.webhooks.detail_queue import ABSENT, PRESENT, Claim, DetailCounts, DetailQueue

# Seconds before the second try, the third, and so on; after the last of these, tries are an hour apart.
WAITS = (5.0, 30.0, 120.0, 600.0, 3600.0)
LONGEST = 48 * 3600.0  # seconds after its first try at which a detail is given up
IDLE = 30.0  # seconds between two looks at the journal, which other processes write too
LONGEST_WHY = 500  # characters of a reason in the journal

logger = logging.getLogger(__name__)


class NotAuthorized(SourceRefused):
    """The vendor refuses our credentials, which someone must correct first."""


class Unaskable(SourceRefused):
    """The detail of this record can never be asked for."""


class Vendor(Protocol):
    """A vendor's API for details."""

    @property
    def concurrency(self) -> int:
        """Number of requests that may be open at a time."""

    @property
    def lease_seconds(self) -> float:
        """How long a request may take, including its wait for the rate limit."""

    def detail(self, record_id: str, record: Callable[[], bytes]) -> bytes | None:
        """The bytes of a record's detail; None if the vendor says that there is none.

        Args:
            record_id: The record's id.
            record: Reads the record's bytes from the archive.

        Raises:
            PlatformError: the detail cannot be fetched now.
        """

    def close(self) -> None:
        """End requests that wait."""


class DetailWorker:
    """Fetches the details of one source.

    Args:
        queue: The details that are to be fetched.
        archive: Where they are stored.
        vendor: Where they are fetched from.
        clock: The time, in seconds since 1970.
        log: Reports stops and details that are given up.
    """

    def __init__(
        self,
        queue: DetailQueue,
        archive: Archive,
        vendor: Vendor,
        clock: Callable[[], float] = time.time,
        log: logging.Logger = logger,
    ) -> None:
        self._queue, self._archive, self._vendor, self._clock, self._log = queue, archive, vendor, clock, log
        self._circuit = Circuit()
        self._ended, self._woken = Event(), Event()
        self._threads: list[Thread] = []

    def start(self) -> None:
        """Queue the records that have no detail yet, end a stop, and start the threads.

        Raises:
            StorageError: the journal cannot be used.
        """
        self._queue.adopt(self._clock())
        self._queue.resume()
        self._threads = [Thread(target=self._run, name="detail", daemon=True) for _ in range(self._vendor.concurrency)]
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Look for work now."""
        self._woken.set()

    def counts(self) -> DetailCounts:
        """The number of missing details.

        Raises:
            StorageError: the journal cannot be read.
        """
        return self._queue.counts()

    def close(self, seconds: float = 2.0) -> None:
        """End the threads. One that takes longer than this is left behind, since its lease ends by itself."""
        self._ended.set()
        self._woken.set()
        self._vendor.close()
        for thread in self._threads:
            thread.join(seconds)

    def step(self) -> float:
        """Fetch one detail if one is due. Returns the seconds until the next one may be.

        Raises:
            StorageError: journal or archive cannot be used now.
        """
        now = self._clock()
        # guard: a stopped source is not asked
        if self._queue.stopped():
            return IDLE
        if wait := self._circuit.wait(now):
            return min(wait, IDLE)
        claim = self._queue.claim(now, self._vendor.lease_seconds)
        if claim is None:
            due = self._queue.next_due()
            return IDLE if due is None else min(max(due - now, 0.0), IDLE)
        if self._circuit.enter(now):
            self._try(claim)
        else:  # another thread makes the one request that is allowed
            self._queue.release(claim, now)
        return 0.0

    def _run(self) -> None:
        while not self._ended.is_set():
            self._woken.clear()
            try:
                wait = self.step()
            except StorageError as error:
                self._log.warning("details wait: %s", error)
                wait = IDLE
            if wait and not self._ended.is_set():
                self._woken.wait(wait)

    def _try(self, claim: Claim) -> None:
        # guard: a bug stops no other detail
        try:
            found = self._vendor.detail(claim.id, lambda: self._record(claim))
            if found is not None:
                # The first answer counts: if another process has stored one, it stays.
                # guard: a detail is in the archive before it counts
                self._archive.store.create(self._archive.detail_key(claim.id), found)
        except StorageError:
            self._queue.release(claim, self._clock() + IDLE)
            raise
        except NotAuthorized as error:
            self._stop(claim, error)
        except Unaskable as error:
            self._give_up(claim, error)
        except PlatformError as error:
            self._failed(claim, error)
        except Exception as error:  # noqa: BLE001 - a boundary; the message could hold anything
            self._failed(claim, UnexpectedFailure("request for a detail", type(error), ""))
        else:
            self._circuit.succeeded()
            self._queue.settle([claim.id], ABSENT if found is None else PRESENT)

    def _record(self, claim: Claim) -> bytes:
        body = self._archive.store.read(claim.key)
        if body is None:
            raise Unaskable(f"the archive has no object {claim.key}.")
        return body

    def _stop(self, claim: Claim, error: NotAuthorized) -> None:
        self._log.error("details of %s are stopped: %s", self._queue.source, error)
        self._queue.stop(str(error)[:LONGEST_WHY])
        self._queue.release(claim, self._clock())

    def _failed(self, claim: Claim, error: PlatformError) -> None:
        if self._ended.is_set():  # the lease ends by itself
            return
        now = self._clock()
        asked = error.retry_after if isinstance(error, SourceUnavailable) else None
        # A wrong answer for one record says nothing about the others, which must not wait because of many such answers.
        # guard: an answer closes the circuit
        if isinstance(error, SourceRefused):
            self._circuit.succeeded()
        else:
            self._circuit.failed(now, asked)
        due = now + max(WAITS[min(claim.tries, len(WAITS) - 1)], asked or 0.0)
        if due > claim.first + LONGEST:
            self._give_up(claim, error)
        else:
            self._queue.postpone(claim, due, str(error)[:LONGEST_WHY])

    def _give_up(self, claim: Claim, error: PlatformError) -> None:
        self._log.error("the detail of %s in %s is given up: %s", claim.id, self._queue.source, error)
        self._queue.give_up(claim, str(error)[:LONGEST_WHY])
