"""Backfills as the UI launches and shows them, without a browser: webserver, daemon and runs of `flows dev`."""

import os
import signal
from collections import Counter
from collections.abc import Iterator

import pytest

from flows_platform.windowed.checks import CHECKS
from tests.conditions import eventually
from tests.end_to_end.dev_process import DAEMON, DEFINITIONS, process_of
from tests.ui.dagster_api import Backfill, DagsterApi
from tests.ui.platform_process import BAD, WINDOWED, RunningPlatform, running_platform

# The daemon looks at backfills every 30 seconds: each takes a minute, however small.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROWS = 4000
WINDOWS = 8


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    with running_platform(tmp_path_factory.mktemp("home"), rows=ROWS, days=1, FLOWS_WINDOWS_PER_RUN=4) as running:
        yield running


@pytest.fixture
def dagster(platform: RunningPlatform) -> DagsterApi:
    return platform.dagster


def backfill(dagster: DagsterApi, keys: list[str]) -> Backfill:
    return dagster.finished(dagster.launch(WINDOWED, keys))


def left(dagster: DagsterApi, *statuses: str) -> list[str]:
    """The windows with one of these statuses in any of the assets."""
    return sorted({key for asset in WINDOWED for key in dagster.keys(asset, *statuses)})


def test_a_backfill_loads_every_window_and_records_its_checks_and_figures(dagster: DagsterApi) -> None:
    keys = list(dagster.partitions("flows"))
    assert len(keys) == WINDOWS

    done = backfill(dagster, keys)

    assert done == Backfill("COMPLETED_SUCCESS", dict.fromkeys(WINDOWED, (WINDOWS, WINDOWS, 0)))
    for asset in WINDOWED:
        assert dagster.partitions(asset) == dict.fromkeys(keys, "MATERIALIZED")
    for check in CHECKS:
        assert dagster.checks("flows", check) == dict.fromkeys(keys, "SUCCEEDED")
    for asset in ("flow_windows", "flows"):
        rows = dict(dagster.series(asset, "rows"))
        assert rows.keys() == set(keys)
        assert sum(rows.values()) == ROWS
    for asset in WINDOWED:
        seconds = dict(dagster.series(asset, "seconds"))
        assert seconds.keys() == set(keys)
        assert min(seconds.values()) > 0


def test_a_bad_window_fails_alone_and_failed_and_missing_loads_just_it(platform: RunningPlatform) -> None:
    dagster = platform.dagster
    keys = list(dagster.partitions("flows"))
    with platform.obstacle():
        failed = backfill(dagster, keys)

    assert failed == Backfill("COMPLETED_FAILED", dict.fromkeys(WINDOWED, (WINDOWS, WINDOWS - 1, 1)))
    assert any(BAD in reason for reason in failed.reasons)
    for asset in WINDOWED:
        assert dagster.keys(asset, "FAILED", "MISSING") == [BAD]
    before = Counter(key for key, _ in dagster.series("flows", "rows"))

    again = backfill(dagster, dagster.keys("flows", "FAILED", "MISSING"))

    assert again == Backfill("COMPLETED_SUCCESS", dict.fromkeys(WINDOWED, (1, 1, 0)))
    for asset in WINDOWED:
        assert dagster.partitions(asset) == dict.fromkeys(keys, "MATERIALIZED")
    assert Counter(key for key, _ in dagster.series("flows", "rows")) - before == Counter({BAD: 1})
    assert sum(dict(dagster.series("flows", "rows")).values()) == ROWS


def test_a_backfill_in_which_daemon_and_code_server_are_killed_loses_nothing(platform: RunningPlatform) -> None:
    dagster = platform.dagster
    keys = list(dagster.partitions("flows"))
    before = Counter(key for key, _ in dagster.series("flows", "rows"))
    launched = dagster.launch(WINDOWED, keys)
    assert eventually(lambda: len(dagster.series("flows", "rows")) > before.total(), 120)  # a window of the first run

    for command in (DAEMON, DEFINITIONS):
        os.kill(process_of(platform.environment, command), signal.SIGKILL)

    dagster.finished(launched)
    assert eventually(lambda: not left(dagster, "MATERIALIZING"), 120)  # by a run that was started again
    if keys_left := left(dagster, "FAILED", "MISSING"):  # a run went down with the code server
        assert backfill(dagster, keys_left).status == "COMPLETED_SUCCESS"
    again = Counter(key for key, _ in dagster.series("flows", "rows")) - before
    assert again.keys() == set(keys)
    assert sum(dict(dagster.series("flows", "rows")).values()) == ROWS
    assert not left(dagster, "FAILED", "MISSING")
