"""Slices of a stream made ahead by several connections: all in order, no slice twice, and nothing stays open."""

from collections.abc import Iterator
from threading import Event

import pytest

from api_server.flows.lanes import Lanes
from api_server.http.workers import Workers
from tests.conditions import eventually

SECONDS = 60


class Connection:
    """Makes slices while the gate is open, and notes what becomes of it."""

    def __init__(self, name: str, log: list[str], gate: Event | None = None) -> None:
        self._name, self._log, self._gate = name, log, gate
        self._makes = False

    def make(self, first: int, last: int) -> tuple[int, int]:
        assert not self._makes, "two threads at once"
        self._makes = True
        self._log.append(f"{self._name} makes")
        if self._gate:
            assert self._gate.wait(SECONDS)
        self._makes = False
        if first < 0:
            raise ValueError(first)
        return first, last

    def interrupt(self) -> None:
        self._log.append(f"{self._name} is interrupted")

    def close(self) -> None:
        assert not self._makes, "closed while it works"
        self._log.append(f"{self._name} closes")


@pytest.fixture
def workers() -> Iterator[Workers]:
    workers = Workers(4)
    yield workers
    workers.close()


@pytest.mark.parametrize("number", [1, 2, 3])
def test_every_part_once_in_order(workers: Workers, number: int) -> None:
    log: list[str] = []

    def another() -> Connection:
        log.append("another opens")
        return Connection("another", log)

    lanes = Lanes(workers, Connection("first", log), another, number)
    spans = [(start, start + 1) for start in range(200)]
    assert [made.result(SECONDS) for made in [lanes.order(span) for span in spans]] == spans
    assert sum("makes" in line for line in log) == 200
    lanes.close()
    assert eventually(lambda: sum("closes" in line for line in log) == 1 + log.count("another opens"))
    assert log.count("another opens") < number


@pytest.mark.parametrize("error", [None, OSError])
def test_a_connection_that_cannot_be_had_is_not_missed(workers: Workers, error: type[OSError] | None) -> None:
    log: list[str] = []
    gate = Event()

    def none() -> Connection | None:
        assert gate.wait(SECONDS)  # the first one is idle by then, and must be woken
        if error:
            raise error
        return None

    lanes = Lanes(workers, Connection("first", log), none, 2)
    done, left = lanes.order((0, 0)), lanes.order((1, 1))
    assert (done.result(SECONDS), left.result(SECONDS)) == ((0, 0), (1, 1))
    waiting = lanes.order((2, 2))
    gate.set()
    assert waiting.result(SECONDS) == (2, 2)
    lanes.close()
    assert eventually(lambda: log == ["first makes"] * 3 + ["first closes"])


def test_an_error_is_of_its_part_alone(workers: Workers) -> None:
    lanes = Lanes(workers, Connection("first", []), lambda: None, 1)
    slices = [lanes.order((position, position)) for position in (1, -1, 2)]
    assert isinstance(slices[1].exception(SECONDS), ValueError)
    assert (slices[0].result(SECONDS), slices[2].result(SECONDS)) == ((1, 1), (2, 2))
    lanes.close()


def test_closing_stops_what_runs_and_begins_nothing(workers: Workers) -> None:
    log: list[str] = []
    gate = Event()
    lanes = Lanes(workers, Connection("first", log, gate), lambda: Connection("other", log, gate), 2)
    for position in range(10):
        lanes.order((position, position))
    assert eventually(lambda: sorted(log) == ["first makes", "other makes"])
    lanes.close()
    assert sorted(log[2:]) == ["first is interrupted", "other is interrupted"]
    gate.set()
    assert eventually(lambda: sorted(log[4:]) == ["first closes", "other closes"])
    assert not lanes.order((10, 10)).done()


def test_closing_frees_a_lane_that_waits_for_a_thread() -> None:
    busy, log, gate = Workers(1), list[str](), Event()
    job = busy.submit(lambda: gate.wait(SECONDS))
    lanes = Lanes(busy, Connection("first", log), lambda: None, 1)
    lanes.order((0, 0))
    before = busy.crowded
    lanes.close()
    lanes.close()
    assert set(log) == {"first closes"}
    assert (before, busy.crowded) == (True, False)
    gate.set()
    assert job.result(SECONDS)
    busy.close()


def test_streams_take_turns_at_a_thread() -> None:
    one, log, gate = Workers(1), list[str](), Event()
    job = one.submit(lambda: gate.wait(SECONDS))
    streams = [Lanes(one, Connection(name, log), lambda: None, 1) for name in ("a", "b")]
    slices = [[lanes.order((position, position)) for position in range(3)] for lanes in streams]
    gate.set()
    assert [made.result(SECONDS) for lane in slices for made in lane] == [(0, 0), (1, 1), (2, 2)] * 2
    assert log == ["a makes", "b makes"] * 3
    assert job.result(SECONDS)
    for lanes in streams:
        lanes.close()
    one.close()
