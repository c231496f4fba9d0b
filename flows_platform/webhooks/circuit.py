"""A circuit breaker for requests to a vendor: after several failures in a row, it allows one request a minute.

It also keeps to the waits that the vendor asks for.
"""

from threading import Lock

FAILURES = 5  # failures in a row that open the circuit
PROBE_SECONDS = 60.0  # between two requests while the circuit is open


class Circuit:
    """The circuit breaker of one vendor. Its methods may be called from any thread; times are in seconds."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._failures = 0
        self._until = 0.0  # no request may start before, unless one succeeds
        self._asked = 0.0  # no request may start before: the vendor asked for that

    def wait(self, now: float) -> float:
        """The seconds until a request may start; 0 if it may start now."""
        with self._lock:
            return max(0.0, max(self._until, self._asked) - now)

    def enter(self, now: float) -> bool:
        """Whether a request may start now. While the circuit is open, no other may then start for a minute."""
        with self._lock:
            if now < max(self._until, self._asked):
                return False
            # guard: one probe a minute
            if self._failures >= FAILURES:
                self._until = now + PROBE_SECONDS
            return True

    def succeeded(self) -> None:
        """Note that a request succeeded. It may have started before the vendor asked another to wait."""
        with self._lock:
            self._failures, self._until = 0, 0.0

    def failed(self, now: float, asked: float | None) -> None:
        """Note that a request failed; `asked` is the wait that the vendor asked for, in seconds."""
        with self._lock:
            self._failures += 1
            if self._failures >= FAILURES:
                self._until = max(self._until, now + PROBE_SECONDS)
            # guard: the vendor's own wait
            self._asked = max(self._asked, now + (asked or 0.0))
