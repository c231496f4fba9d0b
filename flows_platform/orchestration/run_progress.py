"""Progress of a run, logged at most every few seconds: a log line costs Dagster 3 ms."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

EVERY = 2.0  # seconds between two lines


@dataclass(slots=True)
class RunProgress:
    """Counts windows and records and reports them through `say`."""

    say: Callable[[str], None]
    windows: int
    done: int = 0
    records: int = 0
    _window_records: int = 0
    _started: float = field(default_factory=time.monotonic)
    _said: float = field(default_factory=time.monotonic)

    def on_records(self, done: int, total: int | None) -> None:
        """A `Progress` for the window being fetched."""
        self._window_records = done
        self._report(f"; this window: {done:,} of {'?' if total is None else format(total, ',')} records")

    def window_received(self) -> None:
        """The window was read to its end; the next one may be fetched before this one is done."""
        self.records += self._window_records
        self._window_records = 0

    def window_done(self) -> None:
        self.done += 1
        self._report("", last=self.done == self.windows)

    def _report(self, detail: str, *, last: bool = False) -> None:
        now = time.monotonic()
        if now - self._said < EVERY and not last:
            return
        self._said = now
        elapsed = now - self._started
        records = self.records + self._window_records
        left = f", about {elapsed / self.done * (self.windows - self.done):,.0f} s left" if self.done else ""
        rate = f"{records / elapsed:,.0f} a second"
        self.say(f"{self.done} of {self.windows} windows, {records:,} records, {rate}{left}{detail}")
