"""Whether a vendor is asked now: after failures in a row once a minute, and not before a time that it named."""

from threading import Lock

FAILURES = 5  # in a row, that open the circuit
PROBE_SECONDS = 60.0  # between two requests while it is open


class Circuit:
    """The failures of one vendor in a row. Its methods may be called from any thread; times are in seconds."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._failures = 0
        self._until = 0.0  # no request starts before

    def wait(self, now: float) -> float:
        """The seconds until a request may start; 0 if one may start now."""
        with self._lock:
            return max(0.0, self._until - now)

    def enter(self, now: float) -> bool:
        """Whether a request may start now; while the circuit is open it is the only one for a minute."""
        with self._lock:
            if now < self._until:
                return False
            # guard: one probe a minute
            if self._failures >= FAILURES:
                self._until = now + PROBE_SECONDS
            return True

    def succeeded(self) -> None:
        """Note that the vendor answered."""
        with self._lock:
            self._failures, self._until = 0, 0.0

    def failed(self, now: float, asked: float | None) -> None:
        """Note that a request failed; `asked` is the wait in seconds that the vendor asked for."""
        with self._lock:
            self._failures += 1
            opened = now + PROBE_SECONDS if self._failures >= FAILURES else 0.0
            # guard: the vendor's own wait
            self._until = max(self._until, opened, now + (asked or 0.0))
