"""The budget of requests: an exact schedule on an injected clock, shared by real processes, free again after a kill."""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from flows_platform.fetch.http.client import HttpClient
from flows_platform.fetch.http.rate_limit import POLL, RateBudget, RateGate
from flows_platform.fetch.http.request import Request

from .scripted import ScriptedServer, answer

NOW = 1_700_000_000.0
ROOT = Path(__file__).parents[2]


@dataclass
class FakeTime:
    """A clock that only moves while it sleeps."""

    now: float = NOW
    slept: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self.now += seconds


def gate_of(folder: Path, fake: FakeTime, budget: RateBudget) -> RateGate:
    return RateGate(budget, folder, "api", fake.clock, fake.sleep)


def begin(gate: RateGate, fake: FakeTime) -> float:
    with gate.slot():
        gate.take_turn()
        return fake.now - NOW


def test_five_in_thirty_seconds_is_the_exact_schedule(tmp_path: Path) -> None:
    fake = FakeTime()
    gate = gate_of(tmp_path, fake, RateBudget(requests=5, seconds=30.0))
    assert [begin(gate, fake) for _ in range(12)] == [0.0] * 5 + [30.0] * 5 + [60.0] * 2
    assert fake.slept == [30.0, 30.0]
    fake.now += 29.0
    assert [begin(gate, fake) for _ in range(4)] == [89.0] * 3 + [90.0]


@given(
    st.integers(1, 4),
    st.floats(0.1, 100, allow_nan=False),
    st.lists(st.floats(0, 60, allow_nan=False), min_size=1, max_size=20),
)
def test_no_span_of_the_budgets_length_holds_more_requests(
    tmp_path_factory: pytest.TempPathFactory, requests: int, seconds: float, pauses: list[float]
) -> None:
    fake = FakeTime()
    gate = gate_of(tmp_path_factory.mktemp("rate"), fake, RateBudget(requests=requests, seconds=seconds))
    begun = []
    for pause in pauses:
        fake.now += pause
        begin(gate, fake)
        begun.append(fake.now)
    assert all(later >= earlier + seconds for earlier, later in zip(begun, begun[requests:], strict=False))
    entered = json.loads((tmp_path_factory.getbasetemp() / gate.folder / "api.rate.json").read_text())
    assert entered[-1] == begun[-1]  # none passes without being recorded


@pytest.mark.parametrize(
    "state", ["", "[17000", "{}", "7", "null", '["a"]', "[null]", '{"a": 1}', "[NaN, Infinity]", "\0", "[[1]]"]
)
def test_a_state_that_is_none_of_ours_is_begun_anew(tmp_path: Path, state: str) -> None:
    (tmp_path / "api.rate.json").write_text(state)
    fake = FakeTime()
    gate = gate_of(tmp_path, fake, RateBudget(requests=2, seconds=30.0))
    assert [begin(gate, fake) for _ in range(3)] == [0.0, 0.0, 30.0]
    (tmp_path / "api.rate.json").write_bytes(b"\xff\xfe")
    assert begin(gate, fake) == 30.0


def test_a_clock_that_is_put_back_stops_nothing_for_long(tmp_path: Path) -> None:
    fake = FakeTime()
    gate = gate_of(tmp_path, fake, RateBudget(requests=1, seconds=30.0))
    begin(gate, fake)
    fake.now -= 3600
    assert begin(gate, fake) == -3600.0


@pytest.mark.parametrize("budget", [(0, 1.0, 1), (1, 0.0, 1), (1, 1.0, 0), (-5, 30.0, 1)])
def test_a_budget_that_lets_nothing_through_is_refused(budget: tuple[int, float, int]) -> None:
    requests, seconds, concurrency = budget
    with pytest.raises(ValidationError, match="greater than"):
        RateBudget(requests=requests, seconds=seconds, concurrency=concurrency)


def test_only_so_many_requests_are_open_at_once(tmp_path: Path) -> None:
    fake = FakeTime()
    gate = gate_of(tmp_path, fake, RateBudget(requests=100, seconds=1.0, concurrency=2))
    gave_up: list[float] = []

    def give_up(seconds: float) -> None:
        gave_up.append(seconds)
        raise TimeoutError

    third = RateGate(gate.budget, gate.folder, "api", fake.clock, give_up)
    with gate.slot(), gate.slot():
        with pytest.raises(TimeoutError), third.slot():
            pytest.fail("a third slot")
        with RateGate(gate.budget, gate.folder, "another api").slot():
            assert gave_up == [POLL]
    with third.slot():
        assert gave_up == [POLL]


def test_a_place_is_free_again_however_its_holder_ended(tmp_path: Path) -> None:
    arguments = [str(tmp_path), "http://127.0.0.1:9", "100", "1", "0"]
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.fetch.rate_child", *arguments], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert child.stdout
    with child.stdout:
        assert child.stdout.readline() == b"held\n"

    def ends_the_child(_: float) -> None:
        child.kill()
        child.wait()

    with RateGate(RateBudget(requests=100, seconds=1.0), tmp_path, "api", sleep=ends_the_child).slot():
        assert child.returncode == -9


def test_redirects_are_requests_too(server: ScriptedServer, tmp_path: Path) -> None:
    fake = FakeTime()
    client = HttpClient(gate=gate_of(tmp_path, fake, RateBudget(requests=1, seconds=30.0)))
    server.scripts = [answer(b"", status="302 Found", Location="/there"), answer(b"[]")]
    with client.stream(Request(server.url)) as found:
        assert found.read() == b"[]"
    client.close()
    assert (len(server.requests), fake.slept) == (2, [30.0])


@pytest.mark.slow
def test_processes_share_one_budget(server: ScriptedServer, tmp_path: Path) -> None:
    requests, seconds, count, processes = 4, 1, 5, 3
    server.scripts = [answer(b"[]")]
    arguments = [str(tmp_path), server.url, *map(str, (requests, seconds, count))]
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.fetch.rate_child", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for _ in range(processes)
    ]
    told = [child.communicate()[0] for child in children]
    begun = sorted(float(line) for lines in told for line in lines.split())
    assert len(server.requests) == len(begun) == count * processes
    assert all(later >= earlier + seconds for earlier, later in zip(begun, begun[requests:], strict=False))
