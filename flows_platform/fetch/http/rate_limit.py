"""An API's budget of requests, kept by all processes of this machine together, in a file beside the other locks."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import close
from pathlib import Path

from flows_platform.domain.errors import ConfigurationError
from flows_platform.runtime.locks import exclusive, try_lock

log = logging.getLogger(__name__)
POLL = 0.2  # seconds between two looks for a free place
TOLD_FROM = 1.0  # seconds of waiting that are worth a line


@dataclass(frozen=True, slots=True)
class RateBudget:
    """At most `requests` begun in any `seconds`, and `concurrency` open at once."""

    requests: int
    seconds: float
    concurrency: int = 1

    def __post_init__(self) -> None:
        """Refuses a budget that lets nothing through.

        Raises:
            ConfigurationError: it does.
        """
        if self.requests < 1 or self.seconds <= 0 or self.concurrency < 1:
            raise ConfigurationError(f"a budget of {self} lets no request through.", remedy="Each figure is above 0.")


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
        """Waits for one of the places, and holds it while a request is open."""
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
        """Waits until one more request may begin, and enters it. A redirect leads to another one."""
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
        # guard: the budget is shared
        with exclusive(self.folder / f"{self.name}.rate.lock"):
            now = self.clock()
            # By the same sum as the wait: it must not come out as 0 for a request that was not entered.
            begun = [each for each in _read(state) if each <= now < each + self.budget.seconds]
            if len(begun) >= self.budget.requests:
                return begun[-self.budget.requests] + self.budget.seconds - now
            written = state.with_suffix(".new")
            written.write_text(json.dumps([*begun, now]))
            written.replace(state)  # killed anywhere, the budget is not forgotten
            return 0.0


def _read(state: Path) -> list[float]:
    """The times of earlier requests; none where there is no such file, or none of ours."""
    try:
        return sorted(float(each) for each in json.loads(state.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return []
