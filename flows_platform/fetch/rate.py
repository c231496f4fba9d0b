"""An API's budget of requests, kept by all processes of this machine together, in a file beside the other locks."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import close
from pathlib import Path

from flows_platform.file_lock import exclusive, try_lock

log = logging.getLogger(__name__)
POLL = 0.2  # seconds between two looks for a free place
TOLD_FROM = 1.0  # seconds of waiting that are worth a line


@dataclass(frozen=True, slots=True)
class RateBudget:
    """At most `requests` begun in any `seconds`, and `concurrency` open at once."""

    requests: int
    seconds: float
    concurrency: int = 1


@dataclass(frozen=True, slots=True)
class RateGate:
    """Lets requests through as the budget allows; `folder` and `name` say where its state rests.

    `clock` is the wall clock, since processes share what it said.
    """

    budget: RateBudget
    folder: Path
    name: str
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep

    @contextmanager
    def place(self) -> Iterator[None]:
        """Waits for its turn, and holds one of the places while the request is open."""
        held = self._hold()
        try:
            self._take_turn()
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

    def _take_turn(self) -> None:
        while wait := self._wait():
            if wait >= TOLD_FROM:
                log.info("%s: waiting %.0f s for the rate limit of %s", self.name, wait, self._limit)
            self.sleep(wait)

    @property
    def _limit(self) -> str:
        return f"{self.budget.requests} requests in {self.budget.seconds:g} s"

    def _wait(self) -> float:
        """Seconds until there is room, or 0 with this request entered."""
        state = self.folder / f"{self.name}.rate.json"
        with exclusive(self.folder / f"{self.name}.rate.lock"):
            now = self.clock()
            begun = [each for each in _read(state) if now - self.budget.seconds < each <= now]
            if len(begun) >= self.budget.requests:
                return begun[-self.budget.requests] + self.budget.seconds - now
            state.write_text(json.dumps([*begun, now]))
            return 0.0


def _read(state: Path) -> list[float]:
    """The times of earlier requests; none where the file is absent or was cut by a crash."""
    try:
        return sorted(float(each) for each in json.loads(state.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return []
