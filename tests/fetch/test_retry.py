"""The waits between tries: drawn from a doubling range, never less than the server asks, never hours."""

import pytest
import stamina

from flows_platform.domain.errors import SourceRefused, SourceUnavailable, StreamIncomplete, Transient
from flows_platform.fetch.backoff import Backoff, attempts
from flows_platform.fetch.http.client import HttpClient
from flows_platform.fetch.http.request import Request

from .scripted import ScriptedServer, answer


def longest(low: float, high: float) -> float:
    return high


def test_full_jitter_draws_from_nothing_to_the_doubled_wait() -> None:
    drawn: list[tuple[float, float]] = []

    def spread(low: float, high: float) -> float:
        drawn.append((low, high))
        return high / 2

    backoff = Backoff(spread)
    waits = [backoff(StreamIncomplete("cut.")) for _ in range(10)]
    assert drawn == [(0.0, high) for high in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0)]
    assert waits == [high / 2 for _, high in drawn]


def test_what_the_server_asks_for_is_the_least() -> None:
    backoff = Backoff(longest)
    asked = [3.0, 0.0, None, 300.0]
    assert [backoff(SourceUnavailable("busy.", retry_after=seconds)) for seconds in asked] == [3.0, 1.0, 2.0, 300.0]


def test_terminal_errors_are_not_tried_again() -> None:
    assert Backoff()(SourceRefused("no.")) is False
    assert Backoff()(ValueError("a bug")) is False


@pytest.mark.parametrize(
    ("header", "wait"),
    [("7", 7.0), ("86400", 300.0), ("9" * 5000, 300.0), ("-5", None), ("1e9", None), ("soon", None), ("٣", None)],
)
def test_retry_after_is_capped_and_nonsense_ignored(server: ScriptedServer, header: str, wait: float | None) -> None:
    server.scripts = [answer(b"", status="429 Too Many Requests", Retry_After=header)]
    client = HttpClient()
    with pytest.raises(SourceUnavailable) as error, client.stream(Request(server.url)):
        pass
    assert error.value.retry_after == wait
    client.close()


def test_the_schedule_is_what_is_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", slept.append)

    def fail() -> None:
        for attempt in attempts(5, spread=longest):
            with attempt:
                raise StreamIncomplete("cut.")

    with stamina.set_testing(False), pytest.raises(Transient):
        fail()
    assert slept == [0.5, 1.0, 2.0, 4.0]
