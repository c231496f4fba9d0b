"""Backfills as the UI launches and shows them, without a browser: webserver, daemon and runs of `flows dev`."""

import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import batched

import pytest

from flows_platform.orchestration.checks import CHECKS
from tests.conditions import eventually
from tests.end_to_end.dev_process import DAEMON, DEFINITIONS, process_of
from tests.ui.dagster_api import Backfill, DagsterApi
from tests.ui.platform_process import BAD, WINDOWED, RunningPlatform, running_platform

# The daemon looks at backfills every 30 seconds: each takes a minute, however small.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROWS = 4000
DAYS = 3
WINDOWS = 8  # of a day
SLOT = 3 * 3600  # seconds of a window


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    with running_platform(tmp_path_factory.mktemp("home"), rows=ROWS, days=DAYS, FLOWS_WINDOWS_PER_RUN=4) as running:
        yield running


@pytest.fixture(scope="module")
def days(platform: RunningPlatform) -> list[dict[str, int]]:
    """The windows of each day with their rows in the database; a test loads a day that no other did."""
    with closing(sqlite3.connect(platform.files.database)) as database:
        rows = dict(database.execute(f"SELECT time / {SLOT} AS slot, count(*) FROM flows GROUP BY slot"))
    windows = [(key, rows.get(slot, 0)) for slot, key in enumerate(platform.dagster.partitions("flows"))]
    return [dict(day) for day in batched(windows, WINDOWS, strict=True)]


@pytest.fixture
def dagster(platform: RunningPlatform) -> DagsterApi:
    return platform.dagster


def backfill(dagster: DagsterApi, keys: Iterable[str]) -> Backfill:
    return dagster.finished(dagster.launch(WINDOWED, list(keys)))


def left(dagster: DagsterApi, keys: Iterable[str], *statuses: str) -> list[str]:
    """Those of the windows that have one of these statuses in any of the assets."""
    return sorted({key for asset in WINDOWED for key in dagster.keys(asset, *statuses)} & set(keys))


def loaded(dagster: DagsterApi, day: dict[str, int]) -> list[tuple[str, float]]:
    """Each time that one of the day's windows was loaded, with its rows."""
    return [(key, rows) for key, rows in dagster.series("flows", "rows") if key in day]


def test_a_backfill_loads_every_window_and_records_its_checks_and_figures(
    dagster: DagsterApi, days: list[dict[str, int]]
) -> None:
    day = days[0]
    assert len(days) == DAYS

    done = backfill(dagster, day)

    assert done == Backfill("COMPLETED_SUCCESS", dict.fromkeys(WINDOWED, (WINDOWS, WINDOWS, 0)))
    for asset in WINDOWED:
        assert dagster.keys(asset, "MATERIALIZED") == list(day)
    for check in CHECKS:
        assert dagster.checks("flows", check) == dict.fromkeys(day, "SUCCEEDED")
    for asset in ("flow_windows", "flows"):
        assert dict(dagster.series(asset, "rows")) == day
    for asset in WINDOWED:
        seconds = dict(dagster.series(asset, "seconds"))
        assert seconds.keys() == day.keys()
        assert min(seconds.values()) > 0


def test_a_bad_window_fails_alone_and_failed_and_missing_loads_just_it(
    platform: RunningPlatform, days: list[dict[str, int]]
) -> None:
    dagster, day = platform.dagster, days[0]
    with platform.obstacle():
        failed = backfill(dagster, day)

    assert failed == Backfill("COMPLETED_FAILED", dict.fromkeys(WINDOWED, (WINDOWS, WINDOWS - 1, 1)))
    assert any(BAD in reason for reason in failed.reasons)
    for asset in WINDOWED:
        assert set(dagster.keys(asset, "FAILED", "MISSING")) & day.keys() == {BAD}
    before = Counter(loaded(dagster, day))

    again = backfill(dagster, left(dagster, day, "FAILED", "MISSING"))

    assert again == Backfill("COMPLETED_SUCCESS", dict.fromkeys(WINDOWED, (1, 1, 0)))
    for asset in WINDOWED:
        assert dagster.keys(asset, "MATERIALIZED") == list(day)
    assert Counter(loaded(dagster, day)) - before == Counter({(BAD, day[BAD]): 1})


def begun(dagster: DagsterApi, day: dict[str, int]) -> str:
    """The id of a backfill of the day, whose first run has loaded a window."""
    launched = dagster.launch(WINDOWED, list(day))
    assert eventually(lambda: bool(loaded(dagster, day)), 120)
    return launched


def test_a_backfill_goes_on_when_the_daemon_was_killed(platform: RunningPlatform, days: list[dict[str, int]]) -> None:
    dagster, day = platform.dagster, days[1]
    launched = begun(dagster, day)

    os.kill(process_of(platform.environment, DAEMON), signal.SIGKILL)

    done = dagster.finished(launched)
    assert done == Backfill("COMPLETED_SUCCESS", dict.fromkeys(WINDOWED, (WINDOWS, WINDOWS, 0)))
    assert sorted(loaded(dagster, day)) == sorted(day.items())  # each once: its run was left alone


def test_a_backfill_in_which_the_code_server_was_killed_loses_nothing(
    platform: RunningPlatform, days: list[dict[str, int]]
) -> None:
    dagster, day = platform.dagster, days[2]
    launched = begun(dagster, day)

    os.kill(process_of(platform.environment, DEFINITIONS), signal.SIGKILL)

    dagster.finished(launched)
    assert eventually(lambda: not left(dagster, day, "MATERIALIZING"), 120)  # by a run that was started again
    if keys := left(dagster, day, "FAILED", "MISSING"):  # the runs went down with the code server
        assert backfill(dagster, keys).status == "COMPLETED_SUCCESS"
    assert dict(loaded(dagster, day)) == day
    assert sum(dict(dagster.series("flows", "rows")).values()) == ROWS
    assert not left(dagster, [key for day in days for key in day], "FAILED", "MISSING")
