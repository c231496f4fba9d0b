"""The rate of a token: as many requests at once as in a minute, then steadily; headers say what is left."""

import json
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import pytest

from api_server.config import ServerConfig
from api_server.http.problems import Problem
from api_server.http.rate import MOST, RateLimit
from api_server.http.tokens import Scope, create_token
from api_server.reports.feature import ReportsFeature
from flows_platform.reports.service import ReportService

from .conftest import running
from .test_reports import NEWEST, PATH, Recorded, get, runs, service, versions  # noqa: F401 - fixtures


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def refused(call: Callable[[], object]) -> Problem:
    with pytest.raises(Problem) as caught:
        call()
    return caught.value


def test_a_bucket_fills_steadily() -> None:
    clock = Clock()
    rate = RateLimit(6, clock)
    assert [rate.take("a")["RateLimit"] for _ in range(6)] == [
        f'"requests";r={left};t={60 - 10 * left}' for left in range(5, -1, -1)
    ]
    problem = refused(lambda: rate.take("a"))
    assert (problem.status, problem.kind) == (HTTPStatus.TOO_MANY_REQUESTS, "too-many-requests")
    assert problem.headers == {
        "RateLimit-Policy": '"requests";q=6;w=60',
        "RateLimit": '"requests";r=0;t=10',
        "Retry-After": "10",
    }
    assert "6 requests a minute; the next one in 10 s" in problem.detail
    assert rate.take("b")["RateLimit"] == '"requests";r=5;t=10'
    clock.seconds += 9.5
    assert refused(lambda: rate.take("a")).headers["Retry-After"] == "1"
    clock.seconds += 0.5
    rate.take("a")
    clock.seconds += 3600
    assert rate.take("a")["RateLimit"] == '"requests";r=5;t=10'


def test_without_a_limit_or_a_token_nothing_is_counted() -> None:
    assert [RateLimit(0).take("a") for _ in range(3)] == [{}] * 3
    rate = RateLimit(1)
    assert [rate.take("") for _ in range(3)] == [{}] * 3


def test_tokens_that_are_remembered_are_bounded() -> None:
    rate = RateLimit(1, Clock())
    for number in range(MOST + 1):
        rate.take(str(number))
    rate.take("0")  # forgotten
    refused(lambda: rate.take(str(MOST)))


def test_each_token_has_its_own(tmp_path: Path, service: ReportService, runs: Recorded) -> None:  # noqa: F811 - as above
    file = tmp_path / "tokens.json"
    one, other = (create_token(file, name, [Scope.REPORTS_READ], NEWEST) for name in ("one", "other"))
    with running(ServerConfig(tokens=file), [ReportsFeature(service, a_minute=3)]) as server:

        def ask(token: str, path: str = PATH) -> tuple[int, str]:
            response, body = get(server, path, {"Authorization": f"Bearer {token}"})
            assert response.status != HTTPStatus.TOO_MANY_REQUESTS or json.loads(body)["type"] == "/#too-many-requests"
            return response.status, response.headers["RateLimit"].partition(";t=")[0]

        asked = [ask(one), ask(one, f"{PATH}?top=x"), ask(one, "/api/v1/reports"), ask(one), ask(other)]
        assert get(server, "/healthz")[0].status == 200
    assert asked == [
        (200, '"requests";r=2'),
        (400, '"requests";r=1'),
        (200, '"requests";r=0'),
        (429, '"requests";r=0'),
        (200, '"requests";r=2'),
    ]
    assert len(runs.asked) == 1
