"""An API's budget of requests, kept by all processes of this machine together, in a file beside the other locks."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import close
from pathlib import Path

from pydantic import Field

from flows_platform.declared import Declared
from flows_platform.runtime.locks import exclusive, try_lock

log = logging.getLogger(__name__)
POLL = 0.2  # seconds between two looks for a free slot
LOGGED_FROM = 1.0  # seconds; shorter waits are not logged


class RateBudget(Declared):
    """The API's budget of requests, kept by all processes of the machine."""

    requests: int = Field(ge=1, description="Requests that may start within `seconds`.")
    requests_with_key: int | None = Field(None, ge=1, description="The same where the secret of `auth` is set.")
    seconds: float = Field(gt=0, description="Length of the rolling period.")
    concurrency: int = Field(1, ge=1, description="Requests open at once.")

    def with_key(self) -> "RateBudget":
        """The budget of a client that has a key."""
        return self.model_copy(update={"requests": self.requests_with_key or self.requests})


@dataclass(frozen=True, slots=True)
class RateGate:
    """Lets requests through as the budget allows; `folder` and `name` say where its state is kept.

    `clock` is the wall clock, since processes share its readings.
    """

    budget: RateBudget
    folder: Path
    name: str
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for a free slot, and hold it while a request is open."""
        held = self._hold()
        try:
            yield
        finally:
            close(held)

    def _hold(self) -> int:
        while True:
            for number in range(self.budget.concurrency):
                held = try_lock(self.folder / f"{self.name}.place-{number}.lock")
                if held is not None:
                    return held
            self.sleep(POLL)

    def take_turn(self) -> None:
        """Wait until one more request may start, and record it. A redirect is another request."""
        while wait := self._wait():
            if wait >= LOGGED_FROM:
                log.info("%s: waiting %.0f s for the rate limit of %s", self.name, wait, self._limit)
            self.sleep(wait)

    @property
    def _limit(self) -> str:
        return f"{self.budget.requests} requests in {self.budget.seconds:g} s"

    def _wait(self) -> float:
        """Seconds until a request may start; 0 once this one is recorded."""
        state = self.folder / f"{self.name}.rate.json"
        # guard: the budget is shared
        with exclusive(self.folder / f"{self.name}.rate.lock"):
            now = self.clock()
            # The same sum as that of the wait: rounding must not make the wait 0 for a request that is not recorded.
            starts = [start for start in _read(state) if start <= now < start + self.budget.seconds]
            if len(starts) >= self.budget.requests:
                return starts[-self.budget.requests] + self.budget.seconds - now
            written = state.with_suffix(".new")
            written.write_text(json.dumps([*starts, now]))
            written.replace(state)  # a kill at any point does not lose the budget
            return 0.0


def _read(state: Path) -> list[float]:
    """The times of earlier requests; empty if there is no such file, or it is not ours."""
    try:
        return sorted(float(start) for start in json.loads(state.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return []
